"""What follows from each answer of a destination, for the messages of a batch and for its key."""

from dataclasses import replace
from math import inf

import pytest

from app.delivery.circuit import GOOD_FOR, Circuit
from app.delivery.decision import (
    FORBIDDEN_ALONE,
    KEY_PAUSE,
    NOT_PASSING,
    Decision,
    Split,
    decide,
)
from app.destination import (
    BatchRejected,
    Forbidden,
    InvalidKey,
    RetryableError,
    RetryPolicy,
    SendError,
    Unreachable,
)
from app.outbox.messages import Attempt, Claimed, Failed, Lease, Released, Sent

NOW = 1_700_000_000.0
POLICY = RetryPolicy()
NEW = Circuit()
GOOD = Circuit(good_at=NOW - 1)
"""Of a key that took a batch a second ago."""
WORN = Circuit(unreachable=2, good_at=NOW - 1, refused_alone=frozenset({90}))
"""Of a key that has seen some of everything."""


def claimed(number: int, tries: int = 0, age: float = 0.0) -> Claimed:
    return Claimed(number, f"drip-{number}", "Email Opened", NOW - age, tries, "4417", "{}")


def batch(*messages: Claimed) -> Lease:
    return Lease("a-token", messages or (claimed(1), claimed(2)))


def follow(
    answer: SendError | None, circuit: Circuit = NEW, lease: Lease | None = None, chance: float = 0
) -> Decision:
    return decide(answer, lease or batch(), circuit, NOW, POLICY, lambda: chance)


def parts_of(decision: Decision) -> list[list[int]]:
    """The ids of each part that is to be sent next."""
    assert isinstance(decision.outcome, Split)
    return [[message.id for message in part.messages] for part in decision.outcome.parts]


def due_of(decision: Decision) -> dict[int, float]:
    """When each message is due again; the others are dead."""
    assert isinstance(decision.outcome, Failed)
    return dict(decision.outcome.due)


@pytest.mark.parametrize(
    ("answer", "outcome", "circuit"),
    [
        (None, Sent(NOW), Circuit(good_at=NOW)),
        (
            RetryableError("HTTP 503", "busy"),
            Failed(Attempt(NOW, "HTTP 503", "busy"), {1: NOW + 5, 2: NOW + 5}),
            replace(WORN, unreachable=0, opened_at=NOW, open_until=NOW + 5),
        ),
        (
            RetryableError("HTTP 429", asked=120.0),
            Failed(Attempt(NOW, "HTTP 429"), {1: NOW + 120, 2: NOW + 120}),
            replace(WORN, unreachable=0, opened_at=NOW, open_until=NOW + 120),
        ),
        (
            InvalidKey("HTTP 401", "who?"),
            Released(NOW, "HTTP 401 who?"),
            Circuit(NOW, NOW + KEY_PAUSE, "HTTP 401", 0, -inf, WORN.refused_alone),
        ),
        (
            Unreachable("no such host"),
            Released(NOW, "no such host"),
            replace(WORN, unreachable=3, opened_at=NOW, open_until=NOW + 20, reason="no such host"),
        ),
    ],
    ids=["taken", "not now", "not for 120 s", "bad key", "not reached"],
)
def test_each_answer_gives_a_settlement_and_a_circuit(
    answer: SendError | None, outcome: object, circuit: Circuit
) -> None:
    assert follow(answer, WORN) == (outcome, circuit)


@pytest.mark.parametrize(
    "answer", [None, RetryableError(""), InvalidKey(""), Forbidden(""), BatchRejected("")], ids=repr
)
def test_any_answer_at_all_ends_the_count_of_none(answer: SendError | None) -> None:
    assert follow(answer, WORN).circuit.unreachable == 0


# try again


def test_each_message_waits_by_its_own_tries() -> None:
    lease = batch(claimed(1), claimed(2, tries=3), claimed(3, tries=7))
    decision = follow(RetryableError("HTTP 503"), lease=lease)
    assert due_of(decision) == {1: NOW + 5, 2: NOW + 40, 3: NOW + 640}
    assert decision.circuit.open_until == NOW + 5


def test_messages_whose_time_is_over_die() -> None:
    old = POLICY.give_up_after
    lease = batch(
        claimed(1, tries=POLICY.fewest_tries - 1, age=old),
        claimed(2, tries=POLICY.fewest_tries - 2, age=old),  # too few tries
        claimed(3, tries=POLICY.fewest_tries - 1, age=old - 1),  # too young
    )
    assert due_of(follow(RetryableError("HTTP 503"), lease=lease)).keys() == {2, 3}


def test_chance_spreads_the_waits_of_messages_and_key() -> None:
    decision = follow(RetryableError("HTTP 503"), chance=1.0)
    assert due_of(decision) == {1: NOW + 6, 2: NOW + 6}
    assert decision.circuit.open_until == NOW + 6


# the key


def test_a_refused_key_is_not_trusted_any_more() -> None:
    assert not follow(InvalidKey("HTTP 401"), GOOD).circuit.was_good(NOW)


def test_a_refused_key_is_tried_again_after_a_clock_set_back() -> None:
    circuit = follow(InvalidKey("HTTP 401")).circuit
    assert circuit.is_open(NOW + KEY_PAUSE - 1)
    assert not circuit.is_open(NOW - 1)


# nothing is reached


@pytest.mark.parametrize(
    ("before", "seconds", "reason"),
    [
        (0, 5, ""),
        (1, 10, ""),
        (NOT_PASSING - 1, 20, "no such host"),
        (3, 40, "no such host"),
        (4, KEY_PAUSE, "no such host"),
        (10**6, KEY_PAUSE, "no such host"),
    ],
)
def test_what_is_not_reached_is_tried_soon_then_each_minute(
    before: int, seconds: float, reason: str
) -> None:
    circuit = follow(Unreachable("no such host"), Circuit(unreachable=before)).circuit
    assert circuit == Circuit(NOW, NOW + seconds, reason, before + 1)


def test_a_wait_for_what_is_not_reached_has_its_spread() -> None:
    assert follow(Unreachable("no such host"), chance=1.0).circuit.open_until == NOW + 6


def test_a_key_that_is_not_reached_stays_trusted() -> None:
    assert follow(Unreachable("no such host"), GOOD).circuit.was_good(NOW)


# bisecting


@pytest.mark.parametrize(
    ("count", "parts"),
    [
        (2, [[1], [2]]),
        (3, [[1], [2, 3]]),
        (5, [[1, 2], [3, 4, 5]]),
    ],
)
def test_a_rejected_batch_is_halved(count: int, parts: list[list[int]]) -> None:
    lease = batch(*map(claimed, range(1, count + 1)))
    decision = follow(BatchRejected("HTTP 400"), GOOD, lease)
    assert parts_of(decision) == parts
    assert decision.circuit == GOOD
    assert isinstance(decision.outcome, Split)
    assert {part.token for part in decision.outcome.parts} == {lease.token}


def test_a_message_that_is_rejected_alone_is_dead() -> None:
    decision = follow(BatchRejected("HTTP 400", "no event"), GOOD, batch(claimed(1)))
    assert decision == (Failed(Attempt(NOW, "HTTP 400", "no event"), {}), GOOD)


def test_an_error_of_no_known_kind_is_a_rejected_batch() -> None:
    assert parts_of(follow(SendError("HTTP 418"))) == [[1], [2]]


# 403: the key, or what one message says


def test_a_forbidden_batch_of_a_good_key_is_halved_crosswise() -> None:
    decision = follow(Forbidden("HTTP 403"), GOOD, batch(*map(claimed, range(1, 6))))
    assert parts_of(decision) == [[1, 3, 5], [2, 4]]
    assert decision.circuit == GOOD


@pytest.mark.parametrize(
    ("people", "parts"),
    [
        ("aabbbc", [[1, 2, 6], [3, 4, 5]]),
        ("abaa", [[1, 3, 4], [2]]),
        ("aaaa", [[1, 2], [3, 4]]),
    ],
)
def test_messages_of_a_person_that_have_an_order_keep_it(
    people: str, parts: list[list[int]]
) -> None:
    messages = [claimed(n)._replace(person=each) for n, each in enumerate(people, 1)]
    assert parts_of(follow(Forbidden("HTTP 403"), GOOD, batch(*messages))) == parts


@pytest.mark.parametrize(
    "circuit", [NEW, Circuit(good_at=NOW - GOOD_FOR)], ids=["new", "long since"]
)
def test_one_message_alone_proves_a_key_not_known_as_good(circuit: Circuit) -> None:
    decision = follow(Forbidden("HTTP 403"), circuit, batch(*map(claimed, range(1, 6))))
    assert parts_of(decision) == [[1], [2, 3, 4, 5]]
    assert decision.circuit == circuit


def test_a_message_forbidden_alone_is_retried_with_a_good_key() -> None:
    decision = follow(Forbidden("HTTP 403", "blocked"), GOOD, batch(claimed(1)))
    assert decision.outcome == Failed(Attempt(NOW, "HTTP 403", "blocked"), {1: NOW + 5})
    assert decision.circuit == replace(GOOD, refused_alone=frozenset({1}))


def test_a_key_pauses_after_several_are_forbidden_alone() -> None:
    circuit = GOOD
    for number in range(1, FORBIDDEN_ALONE):
        outcome, circuit = follow(Forbidden("HTTP 403"), circuit, batch(claimed(number)))
        assert isinstance(outcome, Failed)
        assert not circuit.is_open(NOW)
    outcome, circuit = follow(Forbidden("HTTP 403", "no"), circuit, batch(claimed(99)))
    # behind those that are due: the next one that is sent alone is another
    assert outcome == Released(NOW + 1, "HTTP 403 no")
    assert circuit == Circuit(NOW, NOW + KEY_PAUSE, "HTTP 403", 0, -inf, frozenset({1, 2, 99}))


def test_the_same_message_forbidden_again_counts_once() -> None:
    circuit = GOOD
    for _ in range(FORBIDDEN_ALONE + 1):
        outcome, circuit = follow(Forbidden("HTTP 403"), circuit, batch(claimed(1)))
        assert isinstance(outcome, Failed)
    assert circuit.refused_alone == {1}


def test_a_message_forbidden_alone_pauses_an_unproven_key() -> None:
    decision = follow(Forbidden("HTTP 403"), NEW, batch(claimed(1)))
    assert decision.outcome == Released(NOW + 1, "HTTP 403")
    assert decision.circuit.is_open(NOW)
    assert decision.circuit.reason == "HTTP 403"


def test_a_batch_that_is_taken_ends_the_count_of_forbidden() -> None:
    refused = replace(GOOD, refused_alone=frozenset({1, 2}))
    assert follow(None, refused).circuit.refused_alone == frozenset()
