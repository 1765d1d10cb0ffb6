"""What an operator may choose about the translation."""

from dataclasses import dataclass, field

from app.segment_to_drip.mapping.mappings import Mappings, preset


@dataclass(frozen=True)
class DripOptions:
    """The defaults are those of Drip's own Segment destinations, or else the more careful ones."""

    initial_status: str = "unsubscribed"
    """Of people who are new to Drip: "unsubscribed", "active", or "none" to send none."""
    value_unit: str = "cents"
    """What an event's property `value` is in: "cents", as Drip counts, or "major" units."""
    track_email: str = "context"
    """Which address of a track call comes first: that of the "context" or of its "properties"."""
    allow_resubscribe: bool = False
    """Whether a trait `status: active` re-subscribes people by itself."""
    campaign_id: str | None = None
    """The Email Series to which everybody who is identified is subscribed."""
    double_optin: bool | None = None
    """Whether that asks for a confirmation; None leaves it to the series."""
    skip_device_mode: bool = False
    """Whether to ignore what the browser says that it sent to Drip by itself."""
    orders: bool = False
    """Whether ecommerce events become orders and carts."""
    order_provider: str = "segment"
    """Where orders were made that do not say it."""
    audiences: str = "fields"
    """What a person's audiences of Engage become in Drip: "fields", "tags", or "both"."""
    delete: str = "ignore"
    """What a delete call does to its person in Drip: "ignore", "unsubscribe" or "delete"."""
    change_address: bool = False
    """Whether a user who is identified with another address has changed it."""
    consent_categories: tuple[str, ...] = ()
    """Without the consent to all of these a call is ignored."""
    default_account: str = ""
    """The Drip account of calls that name none."""
    mappings: Mappings = field(default_factory=lambda: preset("bridge"))
    """What becomes of which calls."""
