"""When calls go one by one and when together, and what goes together."""

import json
from typing import Any

import pytest

from app.outbox.messages import Claimed
from app.segment_to_drip.sending.budget import Left
from app.segment_to_drip.sending.operations import Operation
from app.segment_to_drip.sending.planning import LARGEST_BATCH, LONG, Batch, choose, fill_batch


def left(limit: int, used: int = 0) -> Left:
    return Left(limit - used, used, limit, 0.0)


ALL, NONE = left(3_600), left(3_600, 3_600)
BATCHES, NO_BATCHES = left(50), left(50, 50)


@pytest.mark.parametrize(
    ("backlog", "waited", "single", "batch", "way"),
    [
        (1, 0, ALL, BATCHES, "single"),
        (99, 0, ALL, BATCHES, "single"),
        (100, 0, ALL, BATCHES, "batch"),
        (LARGEST_BATCH, 0, ALL, BATCHES, "batch"),
        (100, 0, ALL, left(50, 4), "batch"),
        (999, 0, ALL, left(50, 5), "single"),
        (LARGEST_BATCH, 0, ALL, left(50, 49), "batch"),
        (LARGEST_BATCH, 0, ALL, NO_BATCHES, "single"),
        (LARGEST_BATCH, 0, NONE, NO_BATCHES, None),
        (5, LONG - 1, NONE, BATCHES, None),
        (5, LONG, NONE, BATCHES, "batch"),
        (5, LONG, ALL, BATCHES, "single"),
        (1, LONG, left(0), left(0), None),
    ],
)
def test_the_cheapest_way_that_is_in_time(
    backlog: int, waited: float, single: Left, batch: Left, way: str | None
) -> None:
    assert choose(backlog, waited, single, batch) == way


def calls(*names: str) -> list[Claimed]:
    """Such as "ana identify": the person and what comes next of it."""
    return [
        Claimed(n, name, None, 0.0, 0, "4417", json.dumps(name.split()[1]), name.split()[0])
        for n, name in enumerate(names)
    ]


def operation_of(message: Claimed) -> Operation | None:
    item: dict[str, Any] = {"email": message.person}
    match json.loads(message.payload):
        case "identify":
            return Operation("subscriber", item)
        case "change":
            return Operation("subscriber", {**item, "new_email": "new"})
        case "unknown":
            return Operation("subscriber", item, introduces=True)
        case "track":
            return Operation("event", item)
        case "campaign":
            return Operation("campaign", item, "c1")
        case _:
            return None


def fill(*names: str) -> tuple[list[str], list[str]]:
    batch: Batch = fill_batch(calls(*names), operation_of)
    planned = [message.message_id for message, _ in batch.planned]
    return planned, [message.message_id for message in batch.done]


def test_a_batch_has_one_kind_rather_people_than_events() -> None:
    assert fill("a identify", "b track", "c track")[0] == ["a identify"]
    assert fill("a identify", "b track", "c track", "d track")[0] == [
        "b track",
        "c track",
        "d track",
    ]
    assert fill("a track", "b track")[0] == ["a track", "b track"]


def test_of_a_person_it_takes_what_comes_first_and_is_alike() -> None:
    planned, _ = fill("a identify", "a identify", "a track", "a identify", "b identify")
    assert planned == ["a identify", "a identify", "b identify"]


def test_an_introduction_goes_alone_before_its_call() -> None:
    assert fill("a unknown", "a track", "b identify")[0] == ["a unknown", "b identify"]


def test_what_needs_no_request_is_done() -> None:
    planned, done = fill("a nothing", "a track", "b track", "b nothing", "c nothing")
    assert planned == ["a track", "b track"]
    assert done == ["a nothing", "c nothing"]


def test_a_change_of_address_goes_alone() -> None:
    assert fill("a change", "a identify", "b identify")[0] == ["b identify"]
    assert fill("a identify", "a change", "b identify")[0] == ["a identify", "b identify"]
    assert fill("a change", "a identify")[0] == ["a change"]


def test_a_place_in_a_campaign_goes_alone() -> None:
    assert fill("a campaign", "b campaign")[0] == ["a campaign"]
    assert fill("a campaign", "b track")[0] == ["b track"]


def test_nothing_becomes_nothing() -> None:
    assert fill() == ([], [])


def test_updates_of_one_person_take_one_place_and_events_one_each() -> None:
    people = [f"p{n} {kind}" for n in range(900) for kind in ("identify", "identify")]
    assert len(fill(*people)[0]) == 1_800
    events = [f"p{n} track" for n in range(900) for _ in range(2)]
    assert len(fill(*events)[0]) == LARGEST_BATCH


def test_a_batch_has_so_many_bytes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "app.segment_to_drip.sending.planning.MOST_BYTES", 3 * len(json.dumps("track"))
    )
    assert fill("a track", "b track", "c track", "d track")[0] == ["a track", "b track", "c track"]
    monkeypatch.setattr("app.segment_to_drip.sending.planning.MOST_BYTES", 1)
    assert fill("a track", "b track")[0] == ["a track"]
