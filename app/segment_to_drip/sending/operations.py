"""Work out what to send to Drip for a kept call, and as which request. Pure.

An operation is one update of one person: a subscriber, an event, or a place in a campaign. What
follows from a call depends on what was sent of its person before.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from app.segment_to_drip.mapping.traits import ONCE
from app.segment_to_drip.options import DripOptions

Kind = Literal["subscriber", "event", "order", "cart", "campaign", "unsubscribe", "delete"]

SHOPPER_ACTIVITIES = frozenset({"order", "cart"})

ALONE = frozenset({*SHOPPER_ACTIVITIES, "campaign", "unsubscribe", "delete"})
"""Kinds of which each operation is a request of its own, for its answer decides how to go on."""

Bucket = Literal["requests", "batches"]
"""Which of Drip's limits a request counts for: 3,600 requests, or 50 batches an hour."""

BY_ID = "d:"
"""How the key of a person begins if Drip is to find them by its own id (`people/keys.py`)."""

UNSUBSCRIBE_ALL = "/unsubscribe_all"
REMOVE = "/remove?campaign_id="

Item = dict[str, Any]

NOTHING: Mapping[str, str] = MappingProxyType({})


class Person(NamedTuple):
    """What was sent of a person."""

    is_known: bool = False
    """Whether anything was sent."""
    once: Mapping[str, str] = NOTHING
    """Field that is sent once for each value → digest of the last value."""
    campaigns: frozenset[str] = frozenset()
    """Ids of the campaigns that the person was subscribed to."""
    is_unsubscribed: bool = False
    """Whether the last status that was sent is "unsubscribed"."""


class Operation(NamedTuple):
    """What to send."""

    kind: Kind
    item: Item
    """As Drip takes it, with the person's email or Drip's own id."""
    campaign_id: str = ""
    introduces: bool = False
    """Whether it only makes the person known to Drip: the call itself is still to be sent."""

    def to_json(self) -> str:
        """The operation in ASCII JSON, as a destination gets it."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "Operation":
        """The operation in such a text."""
        return cls(**json.loads(text))


class Request(NamedTuple):
    """A request to Drip's REST API."""

    method: str
    path: str
    body: dict[str, Any] | None
    """None for a request without one."""
    bucket: Bucket


def next_operation(
    call: Mapping[str, Any], address: str, person: Person, options: DripOptions
) -> Operation | None:
    """What to send next for a call of the person with this address, or with this key of Drip's own
    id; None if nothing is left."""
    drip_id = address.removeprefix(BY_ID) if address.startswith(BY_ID) else None
    named = {"id": drip_id} if drip_id else {"email": address}
    match call["type"]:
        case "identify" if call.get("is_taken"):
            return None
        case "identify":
            once = _not_sent_yet(_once(call), person, address)
            item = {**named, **call["subscriber"], **once}
            return Operation("subscriber", _careful(item, person))
        case "campaign":
            return _joining(call, address, person)
        case "order":
            buyer = {"person_id": drip_id} if drip_id else named
            return Operation(call["activity"], _careful({**buyer, **call["order"]}, person))
        case "unsubscribe":
            return Operation("unsubscribe", named, call.get("campaign_id", ""))
        case "delete":
            return Operation(call["by"], named)
        case _:
            # a person with an id of Drip's is known there
            is_new = not (person.is_known or drip_id)
            if is_new and (options.initial_status != "none" or person.is_unsubscribed):
                item = _careful(_introduction(call, address, options), person)
                return Operation("subscriber", item, "", True)
            item = {**named, **call["event"]}
            return Operation(
                "event", item if call.get("keeps_email") else _without_email(item, address)
            )


def _once(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields that are sent once for each value, with the change of address that was found when
    the call was identified."""
    found = {"new_email": call["new_email"]} if "new_email" in call else {}
    return {**call["once"], **found}


def _joining(call: Mapping[str, Any], address: str, person: Person) -> Operation | None:
    if person.is_unsubscribed or call["campaign_id"] in person.campaigns:
        return None
    return Operation("campaign", {"email": address, **call["subscriber"]}, call["campaign_id"])


def _careful(item: Item, person: Person) -> Item:
    """The item, so that it does not make a person active who left before Drip had them."""
    has_left = person.is_unsubscribed and not person.is_known
    return {**item, "initial_status": "unsubscribed"} if has_left else item


def _introduction(call: Mapping[str, Any], address: str, options: DripOptions) -> Item:
    """The person alone. `/events` takes no status, and nobody should be subscribed by an event."""
    item = {"email": address, "initial_status": options.initial_status}
    return {**item, "user_id": call["user_id"]} if _is_users_own(call, address) else item


def _is_users_own(call: Mapping[str, Any], address: str) -> bool:
    """Whether the address is certain to be that of the call's userId. One that is tried only after
    the userId may be another person's, as in "Friend Invited"."""
    if not call["user_id"] or _is_same(call["user_id"], address):
        return bool(call["user_id"])
    kind, last = call["who"][-1]
    return len(call["who"]) == 1 or kind != "email" or not _is_same(last, address)


def _without_email(item: Item, address: str) -> Item:
    """The event without the property that only repeats the address."""
    properties = {
        key: value
        for key, value in item.get("properties", {}).items()
        if not (key.lower() == "email" and _is_same(value, address))
    }
    others = {name: value for name, value in item.items() if name != "properties"}
    return {**others, "properties": properties} if properties else others


def _is_same(value: Any, address: str) -> bool:
    return isinstance(value, str) and value.strip().lower() == address


def _not_sent_yet(once: Mapping[str, Any], person: Person, address: str) -> Item:
    """The fields of which this value was not the last one that was sent."""
    new = {name: value for name, value in once.items() if _is_new(name, value, person)}
    if tags := [tag for tag in once.get("remove_tags", ()) if _tag(tag) not in person.once]:
        new["remove_tags"] = tags
    if _is_same(new.get("new_email"), address):
        del new["new_email"]
    return _with_partners(new, once)


_PARTNERS = (
    ("status", "status_updated_at"),
    ("sms_number", "sms_consent"),
    ("eu_consent", "eu_consent_message"),
)
"""Fields of which the second means something only beside the first."""


def _with_partners(new: Item, once: Mapping[str, Any]) -> Item:
    """The fields, each pair together if one of the two is new."""
    for pair in _PARTNERS:
        if new.keys() & set(pair):
            new |= {name: once[name] for name in pair if name in once}
    return new


def _is_new(name: str, value: Any, person: Person) -> bool:
    return name != "remove_tags" and person.once.get(name) != _digest(value)


def _tag(tag: str) -> str:
    return f"remove_tags:{tag}"


def _digest(value: Any) -> str:
    """A short text for a value: what is remembered for long should not be the value itself."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def remember(person: Person, operation: Operation) -> Person:
    """What is remembered of the person after Drip took an operation."""
    if operation.kind == "campaign":
        return person._replace(campaigns=person.campaigns | {operation.campaign_id})
    if operation.kind == "delete":
        return Person()
    if operation.kind == "unsubscribe":
        return person if operation.campaign_id else person._replace(is_unsubscribed=True)
    if operation.kind in ("event", *SHOPPER_ACTIVITIES) or operation.introduces:
        return person._replace(is_known=True)
    once = dict(person.once)
    for name in ONCE & operation.item.keys():
        value = operation.item[name]
        once |= (
            dict.fromkeys(map(_tag, value), "") if name == "remove_tags" else {name: _digest(value)}
        )
    for tag in operation.item.get("tags", ()):
        once.pop(_tag(tag), None)  # it may be removed once more
    status = operation.item.get("status")
    is_unsubscribed = person.is_unsubscribed if status is None else status == "unsubscribed"
    return Person(True, once, person.campaigns, is_unsubscribed)


def merge(items: Sequence[Item]) -> list[Item]:
    """The updates of subscribers, in their order, with those of one person made one. Later values
    win; tags unite, unless a later update removes them, and the other way round."""
    merged: dict[str, Item] = {}
    for item in items:
        name = item.get("email") or item["id"]
        merged[name] = _merged(merged[name], item) if name in merged else item
    return list(merged.values())


def _merged(first: Item, second: Item) -> Item:
    both = {**first, **second}
    for pair in _PARTNERS:
        if second.keys() & set(pair):
            for name in first.keys() & set(pair) - second.keys():
                del both[name]  # it was said of the value that is replaced
    for name, undone_by in (("tags", "remove_tags"), ("remove_tags", "tags")):
        undone = second.get(undone_by, ())
        kept = [each for each in first.get(name, ()) if each not in undone]
        united = list(dict.fromkeys([*kept, *second.get(name, ())]))
        both.pop(name, None)
        if united:
            both[name] = united
    if "custom_fields" in first and "custom_fields" in second:
        both["custom_fields"] = {**first["custom_fields"], **second["custom_fields"]}
    return both


def to_request(operations: Sequence[Operation], account: str) -> Request:
    """One request for operations of one kind: several go to the batch endpoint. Those in `ALONE`
    have none."""
    kind = operations[0].kind
    if kind in SHOPPER_ACTIVITIES:
        path = f"/v3/{account}/shopper_activity/{kind}"
        return Request("POST", path, operations[0].item, "requests")
    if kind in ("unsubscribe", "delete"):
        return _to_person_request(operations[0], account)
    items = [operation.item for operation in operations]
    if kind == "campaign":
        path = f"/v2/{account}/campaigns/{operations[0].campaign_id}/subscribers"
        return Request("POST", path, {"subscribers": items}, "requests")
    name = "events" if kind == "event" else "subscribers"
    path = f"/v2/{account}/{name}"
    if len(items) == 1:
        return Request("POST", path, {name: items}, "requests")
    if kind == "subscriber":
        items = merge(items)
    return Request("POST", f"{path}/batches", {"batches": [{name: items}]}, "batches")


def _to_person_request(operation: Operation, account: str) -> Request:
    """A request that has the person in its path, and no body."""
    name = operation.item.get("email") or operation.item["id"]
    person = f"/v2/{account}/subscribers/{quote(name, safe='')}"
    if operation.kind == "delete":
        return Request("DELETE", person, None, "requests")
    if operation.campaign_id:
        path = f"{person}{REMOVE}{operation.campaign_id}"
        return Request("POST", path, None, "requests")
    return Request("POST", f"{person}{UNSUBSCRIBE_ALL}", None, "requests")
