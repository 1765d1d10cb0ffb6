"""The whole way of Segment's calls to Drip, as its users go it: over HTTP, through processes that
are killed."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.support.bridge_process import BridgeProcess
from tests.support.builders import rows
from tests.support.drip_process import (
    ask,
    post,
    send_to_drip,
    shorten_lease,
    wait_until_settled,
)
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import ACCOUNT, FakeDripRest, Visit
from tests.support.segment_webhooks import batch, segment_webhooks, sign
from tests.support.waiting import wait_until

SECRETS = {"shared-secret-example": "shared-secret-example", "abc123": "abc123-made-longer"}
"""The secrets of the given requests. One is shorter than the bridge allows, so what it signed is
signed again with a longer one."""

COUNTS = ("accepted", "duplicates", "ignored", "quarantined")

OUTCOMES = {
    "classic-single": (1, 0, 0, 0),
    "classic-delete": (0, 0, 1, 0),
    "actions-single-default-data": (0, 1, 0, 0),
    "actions-batch-custom-data": (0, 0, 0, 2),
    "actions-batch-first-element": (2, 1, 0, 0),
    "actions-batch-tampered-tail": (0, 2, 0, 0),
    "actions-batch-whole-body": (0, 2, 0, 0),
    "actions-wrong-secret": None,
    "actions-body-changed": None,
    "actions-put-method": (0, 1, 0, 0),
    "extensible-single": (0, 1, 0, 0),
    "extensible-batch-urlencoded": None,
    "not-json": (0, 0, 0, 1),
}
"""Given request → what is counted of it when all are posted in their order; None if it is refused.
They are three people: what they all do is to say these people's address again."""

PEOPLE, EVENTS = f"POST /v2/{ACCOUNT}/subscribers", f"POST /v2/{ACCOUNT}/events"
AT = "2026-11-02T09:30:00Z"
ANA, BO = "ana@people.example", "bo@people.example"


@pytest.fixture
def drip() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def bridge(
    bridge_process: BridgeProcess,
    engine: Engine,  # noqa: ARG001
    drip: FakeDripRest,
) -> BridgeProcess:
    """gunicorn over a database of each engine that has the schema, not yet started."""
    send_to_drip(bridge_process, drip)
    return bridge_process


def requests_of(drip: FakeDripRest) -> list[tuple[str, Any]]:
    return [(visit.line, visit.body) for visit in drip.visits]


def of_person(drip: FakeDripRest, email: str) -> list[tuple[str, Any]]:
    """The requests about one person. Those about different people have no order."""
    return [
        (visit.line, visit.body)
        for visit in drip.visits
        if [item["email"] for item in visit.items] == [email]
    ]


# what Segment posts


def signed_with(request: dict[str, Any]) -> dict[str, str]:
    """The headers of a given request, with the signature of a secret that the bridge allows."""
    secret = SECRETS[request["secret"]]
    if secret == request["secret"]:
        headers: dict[str, str] = request["headers"]
        return headers
    assert request["expect"]["verified_over"] == "first-element"
    first = json.dumps(json.loads(request["raw_body"])[0], separators=(",", ":"))
    return {**request["headers"], "X-Signature": sign(first.encode(), secret)}


def test_what_segment_posts_reaches_drip_once_and_in_order(
    bridge: BridgeProcess, engine: Engine, drip: FakeDripRest
) -> None:
    bridge.start_both(SEGMENT_WEBHOOK_SECRET=",".join(SECRETS.values()))
    for request in segment_webhooks():
        body = request["raw_body"].encode()
        answer = ask(bridge, body, method=request["method"], headers=signed_with(request))
        assert answer.status_code == request["expect"]["status"], request["name"]
        told = answer.json()
        counted = tuple(told[name] for name in COUNTS) if answer.ok else None
        assert counted == OUTCOMES[request["name"]], request["name"]
    wait_until_settled(engine)
    assert requests_of(drip) == [
        (
            PEOPLE,
            {
                "subscribers": [
                    {
                        "email": f"p{n}@example.com",
                        "initial_status": "unsubscribed",
                        "user_id": f"user-{n}",
                    }
                ]
            },
        )
        for n in (1, 2, 3)
    ]
    assert {person.status for person in drip.people().values()} == {"unsubscribed"}


# a process that dies


def event(kind: str, name: str, user: str, **fields: Any) -> bytes:
    """A call of Segment's, whose message id is its name."""
    known = {"type": kind, "messageId": name, "userId": user, "timestamp": AT}
    return json.dumps({**known, **fields}).encode()


FIRST = [
    event("track", "Seen", "u-bo", event="Seen"),  # whose address comes later
    event("identify", "i1", "u-ana", traits={"email": ANA, "plan": "pro"}),
    event("track", "Bought", "u-ana", event="Bought", properties={"revenue": 12.5}),
]
THEN = [
    event("identify", "i2", "u-bo", traits={"email": BO, "tags": ["new"]}),
    event("track", "Left", "u-ana", event="Left"),
]


def subscriber(email: str, user: str, **fields: Any) -> tuple[str, Any]:
    always = {"email": email, "initial_status": "unsubscribed", "user_id": user}
    return PEOPLE, {"subscribers": [{**always, **fields}]}


def happened(email: str, action: str, **fields: Any) -> tuple[str, Any]:
    return EVENTS, {"events": [{"email": email, "action": action, "occurred_at": AT, **fields}]}


IDENTIFIED = subscriber(ANA, "u-ana", custom_fields={"plan": "pro"})
BOUGHT = happened(ANA, "Bought", properties={"value": 1250})
INTRODUCED = subscriber(BO, "u-bo")
SEEN = happened(BO, "Seen")
TAGGED = subscriber(BO, "u-bo", tags=["new"])
LEFT = happened(ANA, "Left")


def test_what_was_answered_survives_sigkill_and_reaches_drip_once(
    bridge: BridgeProcess, engine: Engine, drip: FakeDripRest
) -> None:
    web = bridge.start_web(DELIVER_IN_WEB="false")
    assert post(bridge, batch(FIRST), FIRST[0]).json()["accepted"] == 3
    bridge.kill(web)
    assert drip.visits == []

    bridge.start_both()
    wait_until(lambda: len(drip.visits) >= 2)
    again = post(bridge, batch(FIRST + THEN), FIRST[0]).json()  # as Segment's stream may batch it
    assert (again["duplicates"], again["accepted"]) == (3, 2)
    wait_until_settled(engine)
    assert of_person(drip, ANA) == [IDENTIFIED, BOUGHT, LEFT]
    assert of_person(drip, BO) == [INTRODUCED, SEEN, TAGGED]


def test_only_what_was_under_way_at_a_sigkill_is_sent_twice(
    bridge: BridgeProcess, engine: Engine, drip: FakeDripRest
) -> None:
    shorten_lease(bridge)
    is_dead = threading.Event()

    def answer_nobody(visit: Visit) -> Reply | None:
        if visit.line == EVENTS:
            is_dead.wait(20)
        return None

    drip.behave = answer_nobody
    web = bridge.start_web()
    assert post(bridge, batch(FIRST), FIRST[0]).json()["accepted"] == 3
    wait_until(lambda: len(drip.visits) == 2)
    assert post(bridge, batch(THEN), THEN[0]).json()["accepted"] == 2
    bridge.kill(web)
    is_dead.set()
    states = {name: row.state for name, row in rows(Store(engine, "drip")).items()}
    assert (states["i1"], states["Bought"]) == ("sent", "pending")

    bridge.start_web()
    wait_until_settled(engine)
    assert of_person(drip, ANA) == [IDENTIFIED, BOUGHT, BOUGHT, LEFT]
    assert of_person(drip, BO) == [INTRODUCED, SEEN, TAGGED]
