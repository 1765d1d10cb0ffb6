"""What an answer of Drip's means for the calls in a request. Pure.

Drip's statuses alone do not say it: one user got a 402 for a body that Drip could not parse
(docs/development/facts.md § 5). So the codes and messages of its errors decide, if it gave any.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.clients.drip_answers import read_accounts
from app.clients.drip_api import Answer
from app.destination import BatchRejected, Forbidden, InvalidKey, RetryableError, SendError
from app.segment_to_drip.sending.operations import Operation

LATER = frozenset({408, 425})
"""The 4xx after which the same request may be taken, beside 429."""

NEVER = frozenset({501, 505})
"""The 5xx after which another try does not help."""

CULPRIT_INSIDE = frozenset({413, 422, *NEVER})
"""Answers that are about what is in the request, whether or not the body says so."""

NEVER_LEFT_OUT = frozenset(
    {"email", "id", "person_id", "action", "status", "initial_status", "status_updated_at"}
    | {"provider", "order_id", "cart_id", "cart_url"}
    | {"double_optin", "reactivate_if_removed", "eu_consent", "sms_consent"}
)
"""Fields that are never left out. They say what the call is about, or keep people from getting mail
that they did not ask for: Drip makes a person active if nothing says otherwise."""

CHECK_TOKEN = "check DRIP_API_TOKEN, DRIP_API_TOKENS and DRIP_ACCOUNT_ID"  # noqa: S105 - names
CHECK_URL = "check DRIP_API_URL and any proxy between"

ALREADY_SUBSCRIBED = "email is already subscribed"
NEW_EMAIL_TAKEN = "new email is already subscribed"

NOT_APPLIED = "answered, but fields and tags of this call may not have been applied"
NO_SUCH_PERSON = "answered that it has no such person"
INACTIVE = "answered that the person is inactive"
AT_NEW_ADDRESS = "new_email belongs to a person already: the call was sent for that person"
ALREADY_IN_CAMPAIGN = "answered that the person was in the campaign already, or has left it"


class Call(NamedTuple):
    """What a request asks for."""

    kind: str
    """That of the operation, or "accounts" or "person" for what is only looked up."""
    item: Mapping[str, Any] | None
    """The only item; None if it is a batch."""


class Taken(NamedTuple):
    """Drip has taken the calls."""

    note: str = ""


class SendAgain(NamedTuple):
    """Drip would take the item in another form."""

    item: Mapping[str, Any]
    note: str


class AtOnce(NamedTuple):
    """Another request for the same person is under way. This one used up no quota."""


class HourIsOver(NamedTuple):
    """The quota of this hour is used up."""


class AskForAccounts(NamedTuple):
    """Whether the token gives access to the account decides."""

    if_listed: SendError | Taken
    if_not: SendError
    if_unknown: SendError


Meaning = Taken | SendAgain | AtOnce | HourIsOver | AskForAccounts | SendError


def understand(call: Call, answer: Answer) -> Meaning:
    """Return what follows from an answer."""
    status = answer.status
    if 200 <= status < 300:
        return Taken()
    if answer.says("too many concurrent requests"):
        return AtOnce()
    if status == 429 or answer.says("rate limit exceeded"):
        return HourIsOver()
    if status in LATER or (status >= 500 and status not in NEVER):
        return RetryableError(_http(answer), answer.words, asked=answer.asked)
    if status in {401, 403, 404, 407} or status < 400:
        return _about_key(call, answer)
    if answer.faults:
        return _about_item(call, answer)
    if status in CULPRIT_INSIDE:
        return BatchRejected(_http(answer), answer.words)
    return _forbidden(answer)


def is_active(answer: Answer) -> bool:
    """Return whether an answer shows a person who gets mail."""
    try:
        return bool(json.loads(answer.body)["subscribers"][0]["status"] == "active")
    except (ValueError, RecursionError, LookupError, TypeError):
        return False


def new_email_of(operation: Operation, note: str) -> str | None:
    """Return the address that the person has since Drip took the operation with this note; None if
    it is the one that the person had."""
    new_email = operation.item.get("new_email")
    is_refused = "new_email" in note or NOT_APPLIED in note
    return None if new_email is None or is_refused else new_email.lower()


def is_in_list(account: str, answer: Answer) -> bool | None:
    """Return whether the account is in a list of accounts; None if the answer is no such list."""
    try:
        accounts = read_accounts(json.loads(answer.body))
    except (ValueError, RecursionError):
        return None
    return any(listed.id == account for listed in accounts)


def _about_key(call: Call, answer: Answer) -> Meaning:
    """Understand an answer after which the token, the account or the address may be wrong."""
    http, words = _http(answer), answer.words
    refused = InvalidKey(f"{http}: {CHECK_TOKEN}", words)
    if answer.status == 401:
        return refused
    if answer.status not in {403, 404}:
        return InvalidKey(f"{http}: {CHECK_URL}", words)
    if answer.says(r"account\b.*\bdisabled"):
        return InvalidKey(f"{http}: Drip has disabled the account", words)
    ends = call.kind in ("unsubscribe", "delete")
    if ends and answer.faults and answer.says(r"\binactive\b"):
        return Taken(INACTIVE)
    is_about_person = answer.faults and (call.kind == "campaign" or answer.says(r"\binactive\b"))
    if is_about_person:
        return BatchRejected(http, words)
    reason = f"{http}, and Drip lists no such account: {CHECK_TOKEN}"
    no_account, unknown = InvalidKey(reason, words), _forbidden(answer)
    if answer.status == 403:
        return AskForAccounts(unknown, no_account, unknown)
    # a proxy between may have answered what is not in Drip's form
    absent = Taken(NO_SUCH_PERSON) if ends and answer.faults else BatchRejected(http, words)
    return AskForAccounts(absent, no_account, unknown)


def _about_item(call: Call, answer: Answer) -> Meaning:
    """Understand Drip's errors about what was sent."""
    first = answer.faults[0].message.lower()
    if call.item is None:
        return BatchRejected(_http(answer), answer.words)
    if call.kind == "subscriber" and first == ALREADY_SUBSCRIBED:
        return Taken(NOT_APPLIED)
    if call.kind == "campaign" and answer.says(r"\b(already|removed)\b"):
        return Taken(ALREADY_IN_CAMPAIGN)
    if first == NEW_EMAIL_TAKEN and "new_email" in call.item:
        others = {name: call.item[name] for name in call.item.keys() - {"new_email", "id"}}
        return SendAgain({**others, "email": call.item["new_email"]}, AT_NEW_ADDRESS)
    return _without_fields(call.item, answer)


def _without_fields(item: Mapping[str, Any], answer: Answer) -> Meaning:
    """Leave out the fields that Drip does not take, if the call makes sense without them."""
    refused = BatchRejected(_http(answer), answer.words)
    reasons: dict[str, str] = {}
    for fault in answer.faults:
        if not fault.attribute or fault.attribute in reasons:
            continue
        left = None if fault.attribute in NEVER_LEFT_OUT else _without(item, fault.attribute)
        if left is None:
            return refused
        item = left
        reasons[fault.attribute] = fault.code or "an error"
    notes = (f"{name} left out: Drip answered {reason}" for name, reason in reasons.items())
    return SendAgain(item, "; ".join(notes)) if reasons else refused


def _without(item: Mapping[str, Any], attribute: str) -> Mapping[str, Any] | None:
    """Return the item without this field, or without this one of its custom fields or properties;
    None if it has none of that name."""
    outer, dot, inner = attribute.partition(".")
    if not dot:
        return {name: item[name] for name in item if name != outer} if outer in item else None
    values = item.get(outer)
    if not isinstance(values, dict) or inner not in values:
        return None
    return {**item, outer: {name: values[name] for name in values if name != inner}}


def _forbidden(answer: Answer) -> Forbidden:
    check = f"{CHECK_TOKEN}, and any firewall between that minds an event"
    return Forbidden(f"{_http(answer)}: {check}. Its words are kept with the event", answer.words)


def _http(answer: Answer) -> str:
    return f"HTTP {answer.status}"
