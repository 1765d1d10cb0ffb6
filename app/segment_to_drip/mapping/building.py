"""Carry out a mapping: from the values of its fields to what is kept of the call. Pure."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from app.errors import InvalidPayload
from app.segment_to_drip.mapping.drip_fields import to_text
from app.segment_to_drip.mapping.event import event_of
from app.segment_to_drip.mapping.interest import campaign_of, read_campaign
from app.segment_to_drip.mapping.orders import Activity, activity_of
from app.segment_to_drip.mapping.reading import flag_in, object_in
from app.segment_to_drip.mapping.subscriber import subscriber_of
from app.segment_to_drip.mapping.who import read_address
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

Part = dict[str, Any]
"""What is kept of a call for one mapping: its `type`, and what Drip gets. Whose it is, is added."""

Fields = Mapping[str, Any]
"""The values of the fields of a mapping's action."""


def identify(call: SegmentCall, fields: Fields, _: float, options: DripOptions) -> Part:
    """Make or change a person."""
    subscriber, once = subscriber_of(call, fields, options)
    return {"type": "identify", "subscriber": subscriber, "once": once}


def track_event(
    call: SegmentCall, fields: Fields, received_at: float, options: DripOptions
) -> Part:
    """Add an event to a person."""
    action = to_text(fields.get("action"))
    if action is None or not action.strip():
        raise InvalidPayload({"action": ["Missing or blank."]})
    written = fields.get("occurred_at")
    call = call._replace(
        event=action.strip(),
        properties=object_in(fields, "properties", call.left_out),
        timestamp=call.timestamp if written is None else written,
    )
    if options.orders and (activity := activity_of(call, {}, received_at, options)):
        return _order(activity)
    converts = flag_in(fields, "value_from_revenue", call.left_out)
    part = {"type": "track", "event": event_of(call, received_at, options, converts)}
    return {**part, "keeps_email": True} if flag_in(fields, "keep_email", call.left_out) else part


def order(call: SegmentCall, fields: Fields, received_at: float, options: DripOptions) -> Part:
    """Record an order or a cart; add an event, if something is missing that Drip needs."""
    properties = object_in(fields, "properties", call.left_out)
    call = call._replace(event=call.event or "Order", properties=properties)
    activity = activity_of(call, fields, received_at, options)
    if activity:
        return _order(activity)
    return {"type": "track", "event": event_of(call, received_at, options)}


def _order(activity: Activity) -> Part:
    return {"type": "order", "activity": activity.kind, "order": activity.item}


def subscribe_to_campaign(
    call: SegmentCall, fields: Fields, _: float, options: DripOptions
) -> Part | None:
    """Add a person to a campaign; None if the call is for none."""
    if "campaign_id" not in fields:
        campaign = campaign_of(call, options)
    elif fields["campaign_id"] is None:
        campaign = None
    else:
        campaign = read_campaign(fields["campaign_id"], "fields.campaign_id", call)
    if not campaign:
        return None
    # Drip's own default would bring back people who have left the campaign
    joining: dict[str, Any] = {"reactivate_if_removed": False}
    if options.double_optin is not None:
        joining["double_optin"] = options.double_optin
    return {"type": "campaign", "campaign_id": campaign, "subscriber": joining}


def unsubscribe(call: SegmentCall, fields: Fields, _: float, __: DripOptions) -> Part:
    """Unsubscribe a person from one campaign, or from all mail. Raises `InvalidPayload` if a mapped
    field cannot be read: without the campaign's id all mail would end, and without the address
    perhaps another person's."""
    if "email" in fields and read_address(fields["email"]) is None:
        raise InvalidPayload({"fields.email": ["Not an address."]})
    if "campaign_id" not in fields:
        return {"type": "unsubscribe"}
    campaign = read_campaign(fields["campaign_id"], "fields.campaign_id", call)
    if campaign is None:
        raise InvalidPayload({"fields.campaign_id": ["Not a campaign's id."]})
    return {"type": "unsubscribe", "campaign_id": campaign}


BUILDERS: Mapping[str, Callable[[SegmentCall, Fields, float, DripOptions], Part | None]] = (
    MappingProxyType(
        {
            "identify": identify,
            "trackEvent": track_event,
            "order": order,
            "subscribeToCampaign": subscribe_to_campaign,
            "unsubscribe": unsubscribe,
        }
    )
)
"""Action → what carries it out. It is given the call, the values of the action's fields, when the
call was received (seconds since the epoch), and the options."""
