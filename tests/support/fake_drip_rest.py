"""A real HTTP endpoint that stands in for Drip's REST API where it takes people and events. It is
as strict as the documentation lets one be, and can misbehave.

    python -m tests.support.fake_drip_rest --port 9100 --token T --account 8838307

serves it for trying things, and prints a line for each request.
"""

import argparse
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.support.drip_people import People, Person, Refused
from tests.support.drip_requests import (
    AT_ONCE,
    HOUR_IS_OVER,
    NOT_FOUND,
    NOT_LOGGED_IN,
    ActivityCall,
    Call,
    PersonCall,
    Reply,
    basic,
    in_json,
    parse,
    parse_activity,
    parse_of_person,
    refusal,
    unwrap,
)
from tests.support.drip_server import DripServer
from tests.support.loopback import OnLoopback

ACCOUNT = "8838307"
TOKEN = "an-api-token-0a1b2c3d"
CAMPAIGN = "abc123"

HOUR = 3600.0


@dataclass(frozen=True)
class Visit:
    """One request as it arrived."""

    line: str
    """Method and path."""
    headers: Mapping[str, str]
    body: Any
    """The JSON that came; None if none came."""
    at: float
    """By the clock of the fake."""
    call: Call | None
    items: list[Any]
    """The people or events in it; [] if they are not wrapped as documented."""


class FakeDripRest(OnLoopback):
    """Accounts, each behind its API token, with their people."""

    def __init__(
        self,
        tokens: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        batch_delay: float = 0.0,
        requests_per_hour: int = 3600,
        batches_per_hour: int = 50,
        campaigns: Iterable[str] = (CAMPAIGN,),
        port: int = 0,
    ) -> None:
        self.tokens = dict(tokens or {ACCOUNT: TOKEN})
        """For each account, its API token."""
        self.disabled: set[str] = set()
        """Accounts that Drip has closed."""
        self.batch_delay = batch_delay
        """Seconds after which a batch is done."""
        self.limits = {"requests": requests_per_hour, "batches": batches_per_hour}
        self.visits: list[Visit] = []
        self.answered = 0
        """Requests whose answer is written to the last byte."""
        self.violations: list[str] = []
        """What a client may not do, although Drip would not always say so."""
        self.refused_by_limit: list[Visit] = []
        """What came when no request was left of the hour's."""
        self.behave: Callable[[Visit], Reply | None] = lambda _: None
        """How to answer; None: as documented."""
        self.clock = clock
        campaigns = tuple(campaigns)
        self._people = {name: People(self.violations, campaigns) for name in self.tokens}
        self._used: dict[tuple[str, str], deque[float]] = {}
        self._in_flight: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._drip_server = DripServer(self.receive, port)
        super().__init__(self._drip_server)

    @property
    def connections(self) -> int:
        """How many were made."""
        return self._drip_server.connections

    def people(self, account: str = ACCOUNT) -> dict[str, Person]:
        """Everybody by address in lower case, after the batches whose time has come."""
        with self._lock:
            self._people[account].settle(self.clock())
            return dict(self._people[account].by_email)

    def is_at_work(self) -> bool:
        """Whether a batch is not done yet."""
        self.people()
        return any(people.batches_at_work for people in self._people.values())

    def person(self, email: str, account: str = ACCOUNT) -> Person:
        return self.people(account)[email.lower()]

    def remove_from_campaign(self, email: str, account: str = ACCOUNT) -> None:
        """Make somebody one who has left the campaign."""
        self._people[account].removed[CAMPAIGN].add(email.lower())

    def lines(self) -> list[str]:
        """Method and path of each request, in order."""
        return [visit.line for visit in self.visits]

    def remaining(self, bucket: str, account: str = ACCOUNT) -> int:
        """How many requests are left of an hour's; `bucket` is "requests" or "batches"."""
        now = self.clock()
        used = self._used.setdefault((account, bucket), deque())
        while used and used[0] <= now - HOUR:
            used.popleft()
        return self.limits[bucket] - len(used)

    @contextmanager
    def receive(self, line: str, headers: Mapping[str, str], body: bytes) -> Iterator[Reply]:
        """Record a request and say how to answer it. It is in flight until it is answered."""
        visit = _to_visit(line, headers, body, self.clock())
        account = visit.call.account if visit.call else ""
        with self._lock:
            people = self._people.get(account)
            emails = people.emails_of(visit.items) if people else []
            keys = {(account, email) for email in emails}
            self.visits.append(visit)
            is_at_once = any(self._in_flight[key] for key in keys)
            self._in_flight.update(keys)
        try:
            own = self.behave(visit) or Reply()
            with self._lock:
                documented = self._answer(visit, is_at_once, own)
            yield _in_the_manner_of(own, documented)
        finally:
            with self._lock:
                self._in_flight.subtract(keys)
                self.answered += 1

    def _answer(self, visit: Visit, is_at_once: bool, own: Reply) -> Reply:
        """Check who asks and how often, and do what is asked, unless the answer is another one."""
        opened = [
            account
            for account, token in self.tokens.items()
            if visit.headers.get("Authorization") == basic(token)
        ]
        if not opened:
            return NOT_LOGGED_IN
        if not visit.headers.get("User-Agent"):
            self.violations.append(f"{visit.line}: no User-Agent")
        if is_at_once:
            self.violations.append(f"{visit.line}: at once with another for the same person")
            return AT_ONCE
        bucket = "batches" if visit.call and visit.call.is_batch else "requests"
        account = visit.call.account if visit.call else opened[0]
        if self.remaining(bucket, account) <= 0:
            self.refused_by_limit.append(visit)
            answer = HOUR_IS_OVER
        else:
            self._used[account, bucket].append(self.clock())
            answer = self._do(visit, opened) if own.is_documented else own
        limits = {
            "X-RateLimit-Limit": str(self.limits[bucket]),
            "X-RateLimit-Remaining": str(self.remaining(bucket, account)),
        }
        return replace(answer, headers={**limits, **answer.headers})

    def _do(self, visit: Visit, opened: list[str]) -> Reply:
        if visit.line == "GET /v2/user":
            return in_json(200, {"users": [{"email": "jo@example.com", "name": "Jo"}]})
        if visit.line == "GET /v2/accounts":
            accounts = [{"id": account, "name": f"Account {account}"} for account in opened]
            return in_json(200, {"links": {}, "accounts": accounts})
        if (of_person := parse_of_person(visit.line)) and of_person.account in opened:
            return self._do_with(of_person)
        if (activity := parse_activity(visit.line)) and activity.account in opened:
            return self._record(activity, visit.body)
        call = visit.call
        if not visit.line.startswith("POST ") or not call or call.account not in opened:
            return NOT_FOUND
        if call.account in self.disabled:
            return refusal(403, "authorization_error", "Your account is disabled")
        people = self._people[call.account]
        people.settle(self.clock())
        if call.campaign and call.campaign not in people.removed:
            return NOT_FOUND
        items = unwrap(visit.body, call)
        return items if isinstance(items, Reply) else self._put(visit, call, people, items)

    def _do_with(self, call: PersonCall) -> Reply:
        """Do what is asked of a person in the path."""
        people = self._people[call.account]
        people.settle(self.clock())
        person = people.find(call.person)
        if person is None or (call.campaign and call.campaign not in people.removed):
            return NOT_FOUND
        if call.method == "DELETE":
            del people.by_email[person.email]
            return Reply(204)
        if call.what == "/remove" and call.campaign:
            person.campaigns.discard(call.campaign)
        elif call.what:
            person.status = "unsubscribed"
        return in_json(200, {"links": {}, "subscribers": [shown(person)]})

    def _record(self, call: ActivityCall, item: Any) -> Reply:
        """Record an order or a cart. Drip queues it."""
        try:
            self._people[call.account].record(call.kind, item)
        except Refused as refused:
            return refusal(422, refused.code, refused.message, refused.attribute)
        return in_json(202, {"request_id": "990c99a7-5cba-42e8-8f36-aec3419186ef"})

    def _put(self, visit: Visit, call: Call, people: People, items: list[Any]) -> Reply:
        now, emails = self.clock(), people.emails_of(items)
        for email in set(emails):
            if people.is_outstanding(email, now):
                self.violations.append(f"{visit.line}: {email} is in a batch that is not done")
        if not call.is_batch:
            return _put_one(items[0], call, people)
        if call.kind == "subscriber" and len(set(emails)) < len(emails):
            self.violations.append(f"{visit.line}: somebody is in it twice")
        people.put_batch(call.kind, items, now + self.batch_delay)
        people.settle(now)
        return in_json(201, {})


def _to_visit(line: str, headers: Mapping[str, str], body: bytes, at: float) -> Visit:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    call = parse(line.partition(" ")[2])
    items = unwrap(value, call) if call else []
    return Visit(line, headers, value, at, call, items if isinstance(items, list) else [])


def _put_one(item: Any, call: Call, people: People) -> Reply:
    try:
        person = people.apply(call.kind, item, call.campaign)
    except Refused as refused:
        return refusal(422, refused.code, refused.message, refused.attribute)
    if call.kind == "event":
        return Reply(204)
    return in_json(200, {"links": {}, "subscribers": [shown(person)]})


def shown(person: Person) -> dict[str, str]:
    """A person as Drip's answers show them."""
    return {"id": person.id, "status": person.status, "email": person.email}


def _in_the_manner_of(own: Reply, documented: Reply) -> Reply:
    """The documented answer, as late or as broken as the own one; or the own one, if it has a
    status."""
    if own.raw is not None:
        return own
    answer = documented if own.is_documented else own
    return replace(
        own,
        status=answer.status,
        body=answer.body,
        headers={**documented.headers, **answer.headers, **own.headers},
    )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A Drip to try things with.")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--account", default=ACCOUNT)
    options = parser.parse_args()

    def show(visit: Visit) -> None:
        print(visit.line, len(visit.items), json.dumps(visit.body)[:2000], flush=True)  # noqa: T201

    with FakeDripRest({options.account: options.token}, port=options.port) as drip:
        drip.behave = show
        print(f"DRIP_API_URL={drip.url}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
