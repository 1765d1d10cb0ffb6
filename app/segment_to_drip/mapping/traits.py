"""Tables: which trait becomes which of Drip's fields, and how keys are spelled for Drip.

Sources: the rules of the contract of this direction, in which Segment's two Drip destinations and
Drip's REST API are compared.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

SENT = frozenset({"identify", "track", "alias"})
"""Types of calls that become messages."""

WITHOUT_PLACE = frozenset({"page", "screen", "group", "delete"})
"""Types of calls for which Drip has no place."""

DESTINATIONS = ("Drip", "Drip (Actions)")
"""The names under which Segment's `integrations` may mean Drip."""

ALSO_CUSTOM: Mapping[str, str] = MappingProxyType(
    {
        "firstname": "first_name",
        "lastname": "last_name",
        "phone": "phone",
        "address1": "address1",
        "address2": "address2",
        "city": "city",
        "zip": "zip",
        "country": "country",
        # no "state": without an address around it, it may be the state of anything
    }
)
"""Letters of a trait's name → Drip's field. They stay custom fields too, because templates of
people who come from Segment's older destination read those."""

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "timezone": "time_zone",
        "ipaddress": "ip_address",
        "tags": "tags",
        "prospect": "prospect",
        "potentiallead": "potential_lead",
    }
)
"""Letters of a trait's name → Drip's field, which it becomes instead of a custom field."""

TO_THE_LETTER: Mapping[str, str] = MappingProxyType(
    {
        "remove_tags": "remove_tags",
        "removeTags": "remove_tags",
        "new_email": "new_email",
        "newEmail": "new_email",
        "initial_status": "initial_status",
        "initialStatus": "initial_status",
        "status": "status",
        "status_updated_at": "status_updated_at",
        "statusUpdatedAt": "status_updated_at",
        "eu_consent": "eu_consent",
        "euConsent": "eu_consent",
        "eu_consent_message": "eu_consent_message",
        "euConsentMessage": "eu_consent_message",
        "sms_number": "sms_number",
        "smsNumber": "sms_number",
        "sms_consent": "sms_consent",
        "smsConsent": "sms_consent",
        "base_lead_score": "base_lead_score",
        "baseLeadScore": "base_lead_score",
    }
)
"""As `INSTEAD`, for fields that change what somebody gets or how they are known: a name that is
merely similar does not do that."""

ADDRESS: Mapping[str, str] = MappingProxyType(
    {
        "street": "address1",
        "address1": "address1",
        "address2": "address2",
        "city": "city",
        "state": "state",
        "postalcode": "zip",
        "zip": "zip",
        "country": "country",
    }
)
"""Letters of a key in the trait `address` → Drip's field."""

ONCE = frozenset(
    {
        *("new_email", "remove_tags", "eu_consent", "eu_consent_message"),
        *("status", "status_updated_at", "sms_number", "sms_consent"),
    }
)
"""Fields that are sent once for each value. analytics.js sends all traits again with every
identify, and so would undo what the person or somebody else changed in Drip since."""

_CUSTOM = frozenset({None, *ALSO_CUSTOM.values()})

_LONG = 100
"""Names longer than this are not kept in the caches below."""


def drip_field(trait: str) -> str | None:
    """Drip's field for a trait, or None if it is only a custom field."""
    return _drip_field(trait) if len(trait) <= _LONG else None


def is_custom(trait: str) -> bool:
    """Whether a trait is a custom field, alone or beside a field of Drip's own."""
    return drip_field(trait) in _CUSTOM


def address_field(key: str) -> str | None:
    """Drip's field for a key of the trait `address`."""
    return ADDRESS.get(letters_of(key)) if len(key) <= _LONG else None


def custom_key(trait: str) -> str:
    """The trait's name as Drip allows for a custom field: letters, digits, underscores, and not
    beginning with `drip_`, which is Drip's own."""
    return _custom_key(trait) if len(trait) <= _LONG else _custom_key.__wrapped__(trait)


@lru_cache(maxsize=2048)
def _drip_field(trait: str) -> str | None:
    letters = letters_of(trait)
    return TO_THE_LETTER.get(trait) or INSTEAD.get(letters) or ALSO_CUSTOM.get(letters)


@lru_cache(maxsize=2048)
def _custom_key(trait: str) -> str:
    key = re.sub(r"[^A-Za-z0-9_]", "_", trait.strip()) or "_"
    return f"_{key}" if key.lower().startswith("drip_") else key


def letters_of(name: str) -> str:
    """The letters and digits of a name in lower case: "First Name" and "first_name" are one."""
    return re.sub(r"[\W_]+", "", name).lower()
