"""What Drip accepts of a request's body, as strictly as its documentation lets one say it.

Written apart from the bridge's own checks, so that the two can disagree.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from zoneinfo import ZoneInfo

WRAPPERS = {"subscriber": "subscribers", "event": "events", "campaign": "subscribers"}
"""Kind of item → name of the list that it comes in."""

HIGHEST_VALUE = 2_147_483_646

_EMAIL = re.compile(r"[^\s@\"<>,;:()\[\]\x00-\x1f]+@[^\s@\"<>,;:()\[\]\x00-\x1f]+\.[^\s@.\"]{2,}")

Check = Callable[[Any], bool]


def check_item(kind: str, item: Any) -> list[str]:
    """What Drip would refuse in a subscriber, an event or a campaign's subscriber; [] if nothing.

    `kind` is "subscriber", "event" or "campaign".
    """
    if not isinstance(item, dict):
        return ["not an object"]
    if not _is_writable(item):
        return ["not JSON of whole characters and numbers"]
    rules = _RULES[kind]
    problems = [f"{name}: missing" for name in _needed(kind, item) if name not in item]
    for name, value in item.items():
        if name not in rules:
            problems.append(f"{name}: unknown")
        elif not rules[name](value):
            problems.append(f"{name}: refused: {value!r:.80}")
    if "status_updated_at" in item and "status" not in item:
        problems.append("status_updated_at: without a status it changes an existing status")
    if "sms_number" in item and "sms_consent" not in item:
        problems.append("sms_number: without consent")
    return problems


def _needed(kind: str, item: Mapping[str, Any]) -> list[str]:
    """What has to be there. Drip's own id of a person takes the place of the address, but not in a
    campaign."""
    whom = [] if "id" in item and kind != "campaign" else ["email"]
    return [*whom, "action"] if kind == "event" else whom


def check_activity(kind: str, item: Any) -> list[str]:
    """What Drip would refuse in an "order" or a "cart"; [] if nothing."""
    if not isinstance(item, dict) or not _is_writable(item):
        return ["not an object of whole characters and numbers"]
    rules = _ACTIVITIES[kind]
    whom = "person_id" if "person_id" in item else "email"
    problems = [f"{name}: missing" for name in (whom, *_NEEDED[kind]) if name not in item]
    problems += [
        f"{name}: refused: {value!r:.80}"
        for name, value in item.items()
        if name in rules and not rules[name](value)
    ]
    items = item.get("items", [])
    for place, each in enumerate(items if isinstance(items, list) else ()):
        needed = _NEEDED_OF_ITEM[kind]
        problems += [f"items.{place}.{name}: missing" for name in needed if name not in each]
        problems += [
            f"items.{place}.{name}: refused: {value!r:.80}"
            for name, value in each.items()
            if name in _ITEM and not _ITEM[name](value)
        ]
    return problems


def check_request(path: str, body: Any) -> list[str]:
    """What Drip would refuse in a POST to this path: the wrapper, the number of items, the
    items."""
    if activity := re.fullmatch(r"/v3/[^/]+/shopper_activity/(order|cart)", path):
        return check_activity(activity[1], body)
    found = re.fullmatch(
        r"/v2/[^/]+/(?:campaigns/[A-Za-z0-9_-]+/)?(subscribers|events)(/batches)?", path
    )
    if not found:
        return [f"{path}: no such path"]
    list_name, batches = found[1], found[2]
    in_campaign = "/campaigns/" in path
    if in_campaign and (batches or list_name == "events"):
        return [f"{path}: no such path"]
    kind = "campaign" if in_campaign else list_name.removesuffix("s")
    most = 1
    if batches:
        inner = body.get("batches") if isinstance(body, dict) and len(body) == 1 else None
        if not isinstance(inner, list) or len(inner) != 1:
            return ["batches: not a list of one object"]
        body, most = inner[0], 1000
    items = body.get(list_name) if isinstance(body, dict) and len(body) == 1 else None
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        return [f"{list_name}: must contain between 1 and {most} items, and nothing beside it"]
    return [problem for item in items for problem in check_item(kind, item)]


def _is_writable(item: Any) -> bool:
    """Whether a database can have its texts, and JSON its numbers."""
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        return False
    return not re.search(r"(?<!\\)(\\\\)*\\u0000", text)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 1000


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_email(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 254 and bool(_EMAIL.fullmatch(value))


def _is_time(value: Any) -> bool:
    """ISO 8601 in UTC, in seconds; not before Drip or the web existed."""
    if not isinstance(value, str) or not re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value, re.ASCII
    ):
        return False
    try:
        return datetime.fromisoformat(value).year >= 1970
    except ValueError:
        return False


def _is_ip(value: Any) -> bool:
    try:
        return isinstance(value, str) and "%" not in value and bool(ip_address(value))
    except ValueError:
        return False


def _is_time_zone(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ZoneInfo(value))
    except (ValueError, OSError):
        return False


def _is_us_number(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\+1[2-9]\d{9}", value, re.ASCII))


def _is_tags(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(tag, str) and tag and tag == tag.strip() for tag in value)
        and len(set(value)) == len(value)
    )


def _is_custom_fields(value: Any) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch(r"\w+", key, re.ASCII)
        and not key.lower().startswith("drip_")
        and isinstance(field, str | bool | int | float)
        and len(str(field)) <= 1000
        for key, field in value.items()
    )


def _is_properties(value: Any) -> bool:
    if not isinstance(value, dict) or any(re.search(r"\s", key) for key in value):
        return False
    return "value" not in value or (
        type(value["value"]) is int and 0 <= value["value"] <= HIGHEST_VALUE
    )


def _one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


_PERSON: Mapping[str, Check] = {
    "email": _is_email,
    "user_id": _is_text,
    "time_zone": _is_time_zone,
    "custom_fields": _is_custom_fields,
    "tags": _is_tags,
    "prospect": _is_flag,
    "base_lead_score": lambda value: type(value) is int and value >= 0,
    "eu_consent": _one_of("granted", "denied"),
    "eu_consent_message": _is_text,
}

_RULES: Mapping[str, Mapping[str, Check]] = {
    "subscriber": {
        **_PERSON,
        "id": _is_text,
        "new_email": _is_email,
        **dict.fromkeys(("first_name", "last_name", "phone"), _is_text),
        **dict.fromkeys(("address1", "address2", "city", "state", "zip", "country"), _is_text),
        "sms_number": _is_us_number,
        "sms_consent": _is_flag,
        "ip_address": _is_ip,
        "remove_tags": _is_tags,
        "potential_lead": _is_flag,
        "status": _one_of("active", "unsubscribed"),
        "initial_status": _one_of("active", "unsubscribed"),
        "status_updated_at": _is_time,
    },
    "event": {
        "email": _is_email,
        "id": _is_text,
        "action": lambda value: isinstance(value, str) and 1 <= len(value.strip()) <= 255,
        "properties": _is_properties,
        "occurred_at": _is_time,
        "prospect": _is_flag,
    },
    "campaign": {
        **_PERSON,
        "double_optin": _is_flag,
        "reactivate_if_removed": _is_flag,
        "starting_email_index": lambda value: type(value) is int and value >= 0,
    },
}


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_snake_case(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", value))


_AMOUNTS = ("grand_total", "total_discounts", "total_taxes", "total_fees", "total_shipping")

_ACTIVITY: Mapping[str, Check] = {
    "provider": _is_snake_case,
    "email": _is_email,
    "initial_status": _one_of("active", "unsubscribed"),
    "occurred_at": _is_time,
    **dict.fromkeys((*_AMOUNTS, "refund_amount"), _is_amount),
    "currency": _is_text,
    "items": lambda value: (
        isinstance(value, list) and all(isinstance(each, dict) for each in value)
    ),
}

_ORDER_ACTIONS = ("placed", "updated", "paid", "fulfilled", "refunded", "canceled")

_ACTIVITIES: Mapping[str, Mapping[str, Check]] = {
    "order": {**_ACTIVITY, "action": _one_of(*_ORDER_ACTIONS), "order_id": _is_text},
    "cart": {
        **_ACTIVITY,
        "action": _one_of("created", "updated"),
        **dict.fromkeys(("cart_id", "cart_url"), _is_text),
    },
}

# initial_status is optional at Drip, but without it a person is subscribed
_NEEDED = {
    "order": ("provider", "initial_status", "action", "order_id"),
    "cart": ("provider", "initial_status", "action", "cart_id", "cart_url", "items"),
}

_NEEDED_OF_ITEM = {
    "order": ("name",),
    "cart": ("product_id", "product_variant_id", "name", "price"),
}

_ITEM: Mapping[str, Check] = {
    **dict.fromkeys(("product_id", "product_variant_id", "sku", "name", "brand"), _is_text),
    **dict.fromkeys(("product_url", "image_url"), _is_text),
    **dict.fromkeys(("price", "discounts", "taxes", "fees", "shipping", "total"), _is_amount),
    "quantity": lambda value: type(value) is int and value >= 0,
    "categories": lambda value: isinstance(value, list) and all(map(_is_text, value)),
}
