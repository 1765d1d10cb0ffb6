"""What each direction promises: to those who post to it, and to those who deliver its messages.

A direction that is added is added to `DIRECTIONS`, and has to pass all of this.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row
from werkzeug.test import TestResponse

from app.bridge import bridge_of
from app.config.settings import Settings
from app.destination import BatchRejected, RetryableError, RetryPolicy, SendError
from app.drip_to_segment.destination import SegmentDestination
from app.outbox.messages import Lease
from app.outbox.store import Store
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.webhook import LARGEST_BODY as LARGEST_BATCH
from app.web.receiver import LARGEST_BODY
from tests.support.builders import ACCOUNT, TOKEN, claim, rows
from tests.support.clock import Clock
from tests.support.delivery import Recorder, delivery_to
from tests.support.drip_delivery import DripRecorder, claim_in_order, delivery_to_drip
from tests.support.flask_app import app_over, rows_of
from tests.support.samples import CLICKED, NOBODY, OPENED, changed
from tests.support.segment_webhooks import call

NEVER = 2e9
"""Later than whatever is due by the clock of the machine: seconds since the epoch."""


@dataclass(frozen=True)
class Direction:
    """What the contract has to know of one."""

    source: str
    destination: str
    """As the database has it."""
    path: str
    """Where its webhooks are posted."""
    with_tokens: Callable[[Settings, tuple[str, ...]], Settings]
    """Settings in which its webhook has these tokens."""
    retry: RetryPolicy
    event: bytes
    """A webhook that is accepted, of the account 4417."""
    another: bytes
    """Another event of that account."""
    again: bytes
    """The first event once more, as the source may send it: not the same bytes."""
    unreadable: bytes
    ignored: bytes
    largest_body: int
    send_again: int
    """The status after which the source sends a webhook again."""
    errors_of: Callable[[Any], object]
    """What the answer to the unreadable one says is wrong with it."""
    claim: Callable[[Store, float], Lease]
    """Leases for 30 seconds what is due at a time."""
    deliver: Callable[[Store, Clock, Callable[[str], None]], list[list[str]]]
    """Sends all that is due to a destination that answers so. Returns it, by batch."""
    sent_as: Callable[[Row[Any]], str]
    """What `deliver` calls a kept message."""

    def store_of(self, app: Flask) -> Store:
        found = bridge_of(app).direction_to(self.destination)
        assert found
        return found.store

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}"


def claim_any(store: Store, now: float) -> Lease:
    """As those do who deliver in any order."""
    return claim(store, now=now)


def deliver_to_segment(
    store: Store, clock: Clock, behave: Callable[[str], None]
) -> list[list[str]]:
    destination = Recorder(behave)
    delivery_to(store, destination, clock).drain()
    return destination.batches


def deliver_to_drip(store: Store, clock: Clock, behave: Callable[[str], None]) -> list[list[str]]:
    destination = DripRecorder(ACCOUNT, behave)
    delivery_to_drip(store.engine, destination, clock).drain()
    return destination.batches


def address_of(row: Row[Any]) -> str:
    """Of the person whom a call names: Drip is told of people, not of message ids."""
    ((_, address),) = json.loads(row.payload)["who"]
    return str(address)


DIRECTIONS = [
    Direction(
        source="drip",
        destination=SegmentDestination.name,
        path="/webhooks/drip",
        with_tokens=lambda settings, tokens: replace(settings, webhook_tokens=tokens),
        retry=SegmentDestination.retry,
        event=OPENED,
        another=CLICKED,
        again=changed(b"Europe/Madrid", b"Europe/Lisbon"),
        unreadable=NOBODY,
        ignored=changed(b"subscriber.opened_email", b"subscriber.created"),
        largest_body=LARGEST_BODY,
        send_again=429,
        errors_of=lambda answer: answer["errors"],
        claim=claim_any,
        deliver=deliver_to_segment,
        sent_as=lambda row: str(row.message_id),
    ),
    Direction(
        source="segment",
        destination=DripDestination.name,
        path=f"/webhooks/segment/{ACCOUNT}",
        with_tokens=lambda settings, tokens: replace(settings, segment_webhook_secrets=tokens),
        retry=DripDestination.retry,
        event=call("m1"),
        another=call("m2"),
        again=call("m1", sentAt="2026-11-02T09:45:00.000Z"),
        unreadable=b'{"cool":\r\n true}',
        ignored=call("m3", type="page"),
        largest_body=LARGEST_BATCH,
        send_again=503,
        errors_of=lambda answer: answer["reasons"]["quarantined"]["0"],
        claim=claim_in_order,
        deliver=deliver_to_drip,
        sent_as=address_of,
    ),
]


@pytest.fixture(params=DIRECTIONS, ids=str)
def direction(request: pytest.FixtureRequest) -> Direction:
    found: Direction = request.param
    return found


@pytest.fixture
def bridge(direction: Direction, settings: Settings, engine: Engine) -> Iterator[Flask]:
    """The app over each engine in turn."""
    over = replace(direction.with_tokens(settings, (TOKEN,)), database_url=engine.url)
    with app_over(over) as app:
        yield app


@pytest.fixture
def store(bridge: Flask, direction: Direction) -> Store:
    return direction.store_of(bridge)


def post(app: Flask, direction: Direction, body: bytes, token: str | None = TOKEN) -> TestResponse:
    query = {} if token is None else {"token": token}
    return app.test_client().post(direction.path, query_string=query, data=body)


def status_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["status"]


@dataclass(frozen=True)
class Deliver:
    """Sends all that is due, which is answered with the error. Returns it, by batch."""

    direction: Direction
    store: Store

    def __call__(self, clock: Clock, error: SendError | None = None) -> list[list[str]]:
        def answer(_: str) -> None:
            if error:
                raise error

        return self.direction.deliver(self.store, clock, answer)


@pytest.fixture
def deliver(direction: Direction, store: Store) -> Deliver:
    return Deliver(direction, store)


# who may post


@pytest.mark.parametrize("token", [None, "", "wrong", f"{TOKEN}x", TOKEN[:-1]])
def test_a_webhook_without_the_token_is_401(
    bridge: Flask, direction: Direction, token: str | None
) -> None:
    response = post(bridge, direction, direction.event, token)
    assert status_of(response) == (401, "refused")
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert rows_of(bridge) == []


def test_tokens_are_rotated_without_a_gap(
    settings: Settings, direction: Direction, engine: Engine
) -> None:
    over = replace(settings, database_url=engine.url)
    codes = []
    for tokens in [("the-old-token-16",), ("the-new-token-16", "the-old-token-16")]:
        with app_over(direction.with_tokens(over, tokens)) as app:
            codes += [post(app, direction, direction.event, token).status_code for token in tokens]
    with app_over(direction.with_tokens(over, ("the-new-token-16",))) as app:
        codes.append(post(app, direction, direction.event, "the-old-token-16").status_code)
    assert codes == [200, 200, 200, 401]


# what becomes of a webhook


def test_an_event_is_accepted_and_kept_for_its_destination(
    bridge: Flask, direction: Direction
) -> None:
    response = post(bridge, direction, direction.event)
    assert status_of(response) == (200, "accepted")
    (row,) = rows_of(bridge)
    assert (row.state, row.raw, row.tries) == ("pending", direction.event, 0)
    assert (row.destination, row.account) == (direction.destination, ACCOUNT)
    assert response.get_json()["message_id"] == row.message_id


def test_a_repeat_is_a_duplicate(bridge: Flask, direction: Direction) -> None:
    first = post(bridge, direction, direction.event).get_json()
    again = post(bridge, direction, direction.again)
    assert status_of(again) == (200, "duplicate")
    assert again.get_json()["message_id"] == first["message_id"]
    assert status_of(post(bridge, direction, direction.another)) == (200, "accepted")
    assert [row.raw for row in rows_of(bridge)] == [direction.event, direction.another]


def test_what_is_unreadable_is_quarantined_once(
    bridge: Flask, direction: Direction, store: Store
) -> None:
    responses = [post(bridge, direction, direction.unreadable) for _ in range(2)]
    assert {status_of(response) for response in responses} == {(200, "quarantined")}
    assert direction.errors_of(responses[0].get_json())
    (row,) = rows_of(bridge)
    assert (row.state, row.raw, row.payload) == ("quarantined", direction.unreadable, None)
    assert store.due_accounts(NEVER) == []


def test_what_is_of_no_interest_is_ignored(bridge: Flask, direction: Direction) -> None:
    assert status_of(post(bridge, direction, direction.ignored)) == (200, "ignored")
    assert rows_of(bridge) == []


def test_a_body_that_is_too_large_is_413(bridge: Flask, direction: Direction) -> None:
    response = post(bridge, direction, b"x" * (direction.largest_body + 1))
    assert status_of(response) == (413, "refused")
    assert rows_of(bridge) == []


def test_a_webhook_that_cannot_be_kept_is_asked_for_again(
    bridge: Flask, direction: Direction, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.group_commit.LONGEST_WAIT", 0.15)
    post(bridge, direction, direction.another)
    with store.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE events IN EXCLUSIVE MODE")
        response = post(bridge, direction, direction.event)
    assert status_of(response) == (direction.send_again, "not kept")
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    # it may have been written since; either way it is there once it was sent again
    assert post(bridge, direction, direction.event).status_code == 200
    assert [row.raw for row in rows_of(bridge)] == [direction.another, direction.event]


# what becomes of a message


def test_a_message_is_claimed_by_one_until_its_lease_ends(
    bridge: Flask, direction: Direction, store: Store
) -> None:
    post(bridge, direction, direction.event)
    (kept,) = rows_of(bridge)
    lease = direction.claim(store, kept.due_at)
    assert [(one.message_id, one.payload) for one in lease.messages] == [
        (kept.message_id, kept.payload)
    ]
    assert direction.claim(store, kept.due_at + 29).messages == ()
    assert direction.claim(store, kept.due_at + 30).messages == lease.messages


def test_a_message_that_is_taken_is_sent_once(
    bridge: Flask, direction: Direction, store: Store, deliver: Deliver
) -> None:
    post(bridge, direction, direction.event)
    (kept,) = rows_of(bridge)
    clock = Clock(kept.due_at)
    assert deliver(clock) == [[direction.sent_as(kept)]]
    (sent,) = rows(store).values()
    assert (sent.state, sent.settled_at, sent.tries) == ("sent", clock.now, 1)
    clock.now = NEVER
    assert deliver(clock) == []
    assert status_of(post(bridge, direction, direction.again)) == (200, "duplicate")


def test_a_message_that_is_not_taken_now_is_tried_again(
    bridge: Flask, direction: Direction, store: Store, deliver: Deliver
) -> None:
    post(bridge, direction, direction.event)
    (kept,) = rows_of(bridge)
    clock = Clock(kept.due_at)
    deliver(clock, RetryableError("HTTP 503", "busy"))
    (row,) = rows(store).values()
    assert (row.state, row.tries, row.error) == ("pending", 1, "HTTP 503 busy")
    assert row.due_at == clock.now + direction.retry.first
    clock.now = row.due_at
    assert deliver(clock) == [[direction.sent_as(kept)]]
    assert [row.state for row in rows_of(bridge)] == ["sent"]


def test_a_message_that_is_never_taken_is_dead(
    bridge: Flask, direction: Direction, deliver: Deliver
) -> None:
    post(bridge, direction, direction.event)
    (kept,) = rows_of(bridge)
    clock = Clock(kept.due_at)
    while (row := rows_of(bridge)[0]).state == "pending":
        clock.now = max(clock.now, row.due_at)
        deliver(clock, RetryableError("HTTP 503", "busy"))
    assert (row.state, row.error) == ("dead", "HTTP 503 busy")
    assert row.tries >= direction.retry.fewest_tries
    assert clock.now >= kept.received_at + direction.retry.give_up_after


def test_a_message_that_is_rejected_alone_is_dead_and_kept(
    bridge: Flask, direction: Direction, store: Store, deliver: Deliver
) -> None:
    post(bridge, direction, direction.event)
    (kept,) = rows_of(bridge)
    deliver(Clock(kept.due_at), BatchRejected("HTTP 400", "no"))
    (row,) = rows(store).values()
    assert (row.state, row.error, row.raw) == ("dead", "HTTP 400 no", direction.event)
    assert store.due_accounts(NEVER) == []
