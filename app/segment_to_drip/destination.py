"""Post people and events to Drip. No other file posts to Drip what came from Segment."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from app.clients.drip_api import API, Answer
from app.clients.drip_wire import DripWire
from app.destination import (
    BatchRejected,
    Labels,
    Limits,
    RateLimited,
    RetryableError,
    RetryPolicy,
    SendError,
    Unreachable,
)
from app.segment_to_drip.sending.answers import (
    NO_SUCH_PERSON,
    AskForAccounts,
    AtOnce,
    Call,
    HourIsOver,
    SendAgain,
    Taken,
    is_active,
    is_in_list,
    understand,
)
from app.segment_to_drip.sending.operations import (
    REMOVE,
    SHOPPER_ACTIVITIES,
    UNSUBSCRIBE_ALL,
    Bucket,
    Operation,
    Request,
    to_request,
)

WHOLE_SEND = 14.0
"""Seconds for all requests that one batch leads to. A lease lasts more than twice as long."""

MOST_REQUESTS = 6
"""For one call: the first, and five in which Drip gets it in another form."""

PERSON_IS_BUSY = 2.0
"""Seconds to wait if another request for the same person is under way."""

LABELS = Labels(
    source="Segment",
    destination="Drip",
    account="Drip account",
    key="API token",
    set_key="DRIP_ACCOUNT_ID and DRIP_API_TOKEN, or the account's token in DRIP_API_TOKENS",
    delivered=(
        "Drip took it. Not in Drip? A batch that Drip answered with 201 is worked on later, and "
        "Drip reports neither when nor what it refused of it."
    ),
    check_key=(
        "DRIP_API_TOKEN, DRIP_API_TOKENS, DRIP_ACCOUNT_ID, DRIP_API_URL, and any proxy or "
        "firewall between"
    ),
    sent_again="Segment sends them again for 4 hours.",
    not_kept="503",
    check_source=(
        "see whether the Webhooks (Actions) destination in Segment is on, and has the right URL "
        "and secret"
    ),
)


def account_of(key: str) -> str:
    """The account in a key."""
    return key.partition("=")[0]


class Budget(Protocol):
    """How many more requests Drip takes of an account this hour."""

    def take(self, account: str, bucket: Bucket) -> None:
        """Note one request, right before it is sent. Raises `RateLimited` if none is left."""

    def give_back(self, account: str, bucket: Bucket) -> None:
        """The last request used up no quota."""

    def report(self, account: str, bucket: Bucket, remaining: int | None) -> None:
        """Drip says how many are left."""

    def exhausted(self, account: str, bucket: Bucket) -> float:
        """Drip says that none is left. Returns the seconds to wait."""


class DripDestination:
    """Drip's REST API, as a `Destination`. A payload is the JSON of an `Operation`, and a key is
    an account and its API token."""

    name = "drip"
    limits = Limits(
        # as many as a batch may have (docs/development/facts.md § 5)
        most_messages=1000,
        most_bytes=4_000_000,
        largest_message=500_000,
        # an audience of 150,000 people takes so long within Drip's limits by the hour
        longest_wait=3 * 3600.0,
    )
    retry = RetryPolicy(give_up_after=72 * 3600.0)
    # Drip keeps an event twice that comes twice
    dedupe_window = 0.0
    labels = LABELS

    def __init__(
        self,
        tokens: Mapping[str, str],
        default: tuple[str, str] | None,
        budget: Budget,
        api: str = API,
    ) -> None:
        """`tokens` are the API tokens by account. `default` is the account of calls that name
        none, and its token."""
        self._tokens = dict([default] if default else []) | dict(tokens)
        self._default_account = default[0] if default else ""
        self._budget = budget
        self._wire = DripWire(api)

    @property
    def accounts(self) -> list[str]:
        """The accounts that have a token."""
        return sorted(self._tokens)

    def key_for(self, account: str) -> str | None:
        """Return the account with its API token, or None if none is set."""
        account = account or self._default_account
        token = self._tokens.get(account)
        return f"{account}={token}" if token else None

    def send(self, key: str, payloads: Sequence[str]) -> str:
        """Post operations of one kind. On return Drip has taken them: a batch is then done in the
        background, and Drip never says how that went. Returns what was left out of a single one.

        Raises any `SendError`. Only a single operation is corrected and sent again; a batch is
        rejected whole.
        """
        account, _, token = key.partition("=")
        operations = [Operation.from_json(payload) for payload in payloads]
        sending = _Sending(self._wire, self._budget, account, token)
        return sending.send(operations[0].kind, to_request(operations, account))


class _Sending:
    """One `send` with all the requests that it takes."""

    def __init__(self, wire: DripWire, budget: Budget, account: str, token: str) -> None:
        self._wire = wire
        self._budget = budget
        self._account = account
        self._token = token
        self._until = time.monotonic() + WHOLE_SEND

    def send(self, kind: str, request: Request) -> str:
        """Post a request, and again without what Drip does not take of it. Returns a note."""
        notes: list[str] = []
        for _ in range(MOST_REQUESTS):
            answer = self._post(kind, request)
            meaning = understand(Call(kind, _only_item(kind, request)), answer)
            if isinstance(meaning, AskForAccounts):
                meaning = self._ask(meaning)
            match meaning:
                case Taken(note):
                    if note == NO_SUCH_PERSON and REMOVE in request.path:
                        self._see_that_nobody_is_there(request, answer)
                    elif request.path.endswith(UNSUBSCRIBE_ALL) and note != NO_SUCH_PERSON:
                        self._read_back(request)
                    return "; ".join(filter(None, (*notes, note)))
                case SendAgain(item, note):
                    notes.append(note)
                    request = _with_item(kind, request, item)
                case _:
                    error = self._to_error(meaning, answer, request.bucket)
                    raise error.with_status(answer.status)
        rejected = BatchRejected(f"HTTP {answer.status}, for one field after another", answer.words)
        raise rejected.with_status(answer.status)

    def _post(self, kind: str, request: Request) -> Answer:
        try:
            body = None if request.body is None else json.dumps(request.body, allow_nan=False)
        except ValueError:
            raise BatchRejected("a number that JSON does not have") from None
        try:
            return self._exchange(request.bucket, request.method, request.path, body)
        except RetryableError as error:
            if kind in ("event", *SHOPPER_ACTIVITIES):
                reason = f"{error}. Drip may have kept it all the same, and will have it twice then"
                raise RetryableError(reason, error.words, error.asked) from None
            raise

    def _exchange(self, bucket: Bucket, method: str, path: str, body: str | None = None) -> Answer:
        """Send one request within the budget."""
        if time.monotonic() > self._until:
            raise RetryableError("no time left for another request")
        self._budget.take(self._account, bucket)
        try:
            answer = self._wire.exchange(self._token, method, path, body, self._until)
        except Unreachable:
            self._budget.give_back(self._account, bucket)
            raise
        if answer.remaining is not None:
            self._budget.report(self._account, bucket, answer.remaining)
        return answer

    def _to_error(
        self,
        meaning: AtOnce | HourIsOver | SendError,
        answer: Answer,
        bucket: Bucket,
    ) -> SendError:
        match meaning:
            case AtOnce():
                self._budget.give_back(self._account, bucket)
                reason = f"HTTP {answer.status}: another request for the same person is under way"
                return RateLimited(reason, PERSON_IS_BUSY, answer.words)
            case HourIsOver():
                wait = self._budget.exhausted(self._account, bucket)
                reason = f"HTTP {answer.status}: no more requests this hour"
                return RateLimited(reason, wait, answer.words)
            case _:
                return meaning

    def _ask(self, asked: AskForAccounts) -> Taken | SendError:
        is_listed = self._is_listed()
        if is_listed is None:
            return asked.if_unknown
        return asked.if_listed if is_listed else asked.if_not

    def _read_back(self, request: Request) -> None:
        """See that a person is unsubscribed. Drip has answered that it did it, and had not
        (docs/development/facts.md § 5)."""
        try:
            path = request.path.removesuffix(UNSUBSCRIBE_ALL)
            answer = self._exchange("requests", "GET", path)
        except RateLimited:
            return
        if is_active(answer):
            raise RetryableError("Drip answered that it did it, but the person is still active")

    def _see_that_nobody_is_there(self, request: Request, refused: Answer) -> None:
        """See that Drip has no such person. A campaign that it does not have is answered in the
        same way, and the person would go on getting mail."""
        person = self._exchange("requests", "GET", request.path.partition(REMOVE)[0])
        if person.status == 404:
            return
        if not 200 <= person.status < 300:
            raise RetryableError(f"HTTP {person.status}, when asked for the person", person.words)
        reason = f"HTTP {refused.status}, and Drip has the person: check the campaign's id"
        raise BatchRejected(reason, refused.words).with_status(refused.status)

    def _is_listed(self) -> bool | None:
        """Ask Drip whether the token gives access to the account. None if it does not say."""
        try:
            answer = self._exchange("requests", "GET", "/v2/accounts")
        except RateLimited:
            return None
        match meaning := understand(Call("accounts", None), answer):
            case Taken():
                return is_in_list(self._account, answer)
            case HourIsOver():
                self._budget.exhausted(self._account, "requests")
                return None
            case RetryableError():
                raise meaning
            case _:
                return False


def _only_item(kind: str, request: Request) -> Mapping[str, Any] | None:
    """Return the item of a request for a single one."""
    if kind in SHOPPER_ACTIVITIES:
        return request.body
    items = [items for name, items in (request.body or {}).items() if name != "batches"]
    return items[0][0] if items else None


def _with_item(kind: str, request: Request, item: Mapping[str, Any]) -> Request:
    if kind in SHOPPER_ACTIVITIES:
        return request._replace(body=dict(item))
    return request._replace(body={name: [item] for name in request.body or {}})
