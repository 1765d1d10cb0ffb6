"""The actions of a mapping, and the fields of each: what a mapping file may say.

The docs' list of fields is made of these tables (`docs/mapping-file.md`). Names are those of
Segment's Drip (Actions) destination, if it has the field.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Field(NamedTuple):
    """A field of an action."""

    label: str
    type: str
    """What a value has to be, in words."""
    description: str
    is_needed: bool = False


EMAIL = Field(
    "Email Address",
    "text, an address",
    "Whose call it is. If it is not mapped, or no address, the bridge looks at the places where "
    "calls have it.",
)

_OF_DRIP: Mapping[str, Field] = MappingProxyType(
    {
        "ip": Field("IP Address", "text, version 4 or 6", "Drip's `ip_address`."),
        "timezone": Field("Timezone", "text, such as Europe/Madrid", "Drip's `time_zone`."),
        "phone": Field("Phone", "text", "Drip's `phone`. It is not used for SMS."),
        "sms_number": Field("SMS Number", "text, E.164, US", "Only beside `sms_consent`."),
        "sms_consent": Field("SMS Consent", "true or false", "Only beside `sms_number`."),
        "first_name": Field("First Name", "text", "Drip's `first_name`."),
        "last_name": Field("Last Name", "text", "Drip's `last_name`."),
        "address1": Field("Address", "text", "Drip's `address1`."),
        "address2": Field("Address, second line", "text", "Drip's `address2`."),
        "city": Field("City", "text", "Drip's `city`."),
        "state": Field("State", "text", "Drip's `state`."),
        "zip": Field("Postal Code", "text", "Drip's `zip`."),
        "country": Field("Country", "text", "Drip's `country`."),
        "initial_status": Field(
            "Initial Status",
            "unsubscribed or active",
            "Of people who are new to Drip. If it is not mapped: `DRIP_INITIAL_STATUS`.",
        ),
        "status": Field(
            "Status",
            "unsubscribed or active",
            "Changes the person's status. `active` counts only beside `status_updated_at`, or with "
            "`DRIP_ALLOW_RESUBSCRIBE`. Sent once for each value.",
        ),
        "status_updated_at": Field(
            "Status Updated At", "text, ISO 8601", "Since when the status is so."
        ),
        "tags": Field("Tags", "list, or text with commas", "Added to those that the person has."),
        "remove_tags": Field(
            "Tags to remove", "list, or text with commas", "Each is sent once for each person."
        ),
        "new_email": Field(
            "New Email Address", "text, an address", "Drip changes the address. Sent once."
        ),
        "prospect": Field("Prospect", "true or false", "Whether Drip gives a lead score."),
        "potential_lead": Field("Potential Lead", "true or false", "The older name of `prospect`."),
        "base_lead_score": Field("Base Lead Score", "whole number from 0", "Drip's default is 30."),
        "eu_consent": Field("EU Consent", "granted or denied", "Sent once for each value."),
        "eu_consent_message": Field("EU Consent Message", "text", "What was consented to."),
    }
)

TO_DRIP: Mapping[str, str] = MappingProxyType({"ip": "ip_address", "timezone": "time_zone"})
"""Field → Drip's name of it, if that differs."""

ACTIONS: Mapping[str, Mapping[str, Field]] = MappingProxyType(
    {
        "identify": {
            "email": EMAIL,
            "traits": Field(
                "Traits",
                "object",
                "Sorted by the bridge's own rules: Drip's own fields go to their places, all else "
                "becomes custom fields.",
            ),
            "context": Field(
                "Context",
                "object",
                "Time zone and IP address of the person's device, if neither field nor trait has "
                "them. The IP address of a server's call is left out.",
            ),
            "custom_fields": Field("Custom fields", "object", "They win over those of the traits."),
            "custom_fields_as_text": Field(
                "Custom fields as text",
                "true or false",
                "Whether numbers, true and false become text, as Segment's own destination does.",
            ),
            **_OF_DRIP,
        },
        "trackEvent": {
            "email": EMAIL,
            "action": Field(
                "Action", "text", "What happened. Needed; up to 255 characters.", is_needed=True
            ),
            "properties": Field("Properties", "object", "White space in keys becomes `_`."),
            "keep_email": Field(
                "Keep the address in the properties",
                "true or false",
                "Otherwise a property `email` that is the person's address is left out.",
            ),
            "value_from_revenue": Field(
                "Value from revenue",
                "true or false",
                "Whether `revenue`, or `total` of Order Completed, becomes `value` in cents.",
            ),
            "occurred_at": Field(
                "Occurred At", "text, ISO 8601", "If it is not mapped: the call's `timestamp`."
            ),
        },
        "order": {
            "email": EMAIL,
            "properties": Field(
                "Properties",
                "object",
                "Of an order or a cart, with the names of Segment's ecommerce events. Without what "
                "Drip needs, the call is sent as an event.",
            ),
            "status": Field(
                "Status",
                "placed, updated, paid, fulfilled, refunded or canceled",
                "What happened to the order. If it is not mapped, the name of the event says it.",
            ),
            "provider": Field(
                "Provider",
                "text",
                "Where the order was made. If it is not mapped: `affiliation`, or "
                "`DRIP_ORDER_PROVIDER`.",
            ),
        },
        "subscribeToCampaign": {
            "email": EMAIL,
            "campaign_id": Field(
                "Campaign ID",
                "text or number",
                "If it is not mapped: that of the call's `integrations` or external ids, or "
                "`DRIP_CAMPAIGN_ID`. Without one, nothing is sent.",
            ),
        },
        "unsubscribe": {
            "email": EMAIL._replace(
                description="Who leaves. If it is not mapped, the bridge looks at the places where "
                "calls have it. If it is mapped and no address, the call goes to quarantine."
            ),
            "campaign_id": Field(
                "Campaign ID",
                "text or number",
                "The campaign to leave. If it is not mapped: the person gets no mail any more. If "
                "it is mapped and no campaign's id, the call goes to quarantine.",
            ),
        },
    }
)
"""Action → its fields, in the order of the docs."""
