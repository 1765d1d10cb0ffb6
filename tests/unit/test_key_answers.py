"""What an answer says of its key is recorded when it changes, and else now and then."""

from typing import Any

import pytest

from app.delivery import key_answers as module
from app.delivery.circuit import Circuit
from app.delivery.key_answers import NOTE_EVERY, KeyAnswers, kind_of
from app.destination import (
    BatchRejected,
    Forbidden,
    InvalidKey,
    RateLimited,
    RetryableError,
    SendError,
    Unreachable,
)
from app.outbox.answers import WORKS, Kind
from tests.support.builders import NOW
from tests.support.clock import Clock

DOWN = RetryableError("HTTP 500")


class Steady(Clock):
    """A monotonic clock that tests set."""

    def monotonic(self) -> float:
        return self.now


class Recorded:
    """In place of the table: what is written, and how often, is the point here."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Kind, str, float, int]] = []

    def note(
        self, key: str, kind: Kind, reason: str, now: float, next_at: float, failures: int
    ) -> bool:
        assert now == NOW
        was_down = bool(self.rows) and self.rows[-1][1] not in WORKS
        self.rows.append((key, kind, reason, next_at, failures))
        return was_down and kind in WORKS


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    steady = Steady(77.0)
    monkeypatch.setattr(module, "time", steady)
    return steady


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def answers(recorded: Any) -> KeyAnswers:
    return KeyAnswers(recorded, lambda: NOW)


@pytest.mark.usefixtures("steady")
def test_another_kind_is_recorded_at_once(answers: KeyAnswers, recorded: Recorded) -> None:
    for answer in (None, DOWN, Unreachable("no such host"), None):
        answers.note("key", answer, Circuit())
    assert [(kind, reason, failures) for _, kind, reason, _, failures in recorded.rows] == [
        ("taken", "taken", 0),
        ("failing", "HTTP 500", 1),
        ("unreachable", "no such host", 1),
        ("taken", "taken", 0),
    ]


def test_the_same_kind_is_recorded_now_and_then_with_all_failures(
    answers: KeyAnswers, recorded: Recorded, steady: Steady
) -> None:
    for seconds in (0, 1, NOTE_EVERY - 2, 1.5, 0.1):
        steady.now += seconds
        answers.note("key", DOWN, Circuit())
    assert [failures for *_, failures in recorded.rows] == [1, 3]


@pytest.mark.usefixtures("steady")
def test_failures_that_were_not_recorded_count_with_the_next_kind(
    answers: KeyAnswers, recorded: Recorded
) -> None:
    for answer in (DOWN, DOWN, DOWN, Unreachable("no such host")):
        answers.note("key", answer, Circuit())
    assert [failures for *_, failures in recorded.rows] == [1, 3]


@pytest.mark.usefixtures("steady")
def test_keys_are_recorded_apart(answers: KeyAnswers, recorded: Recorded) -> None:
    for key in ("a", "b", "a", "b"):
        answers.note(key, DOWN, Circuit())
    assert [(key, failures) for key, *_, failures in recorded.rows] == [("a", 1), ("b", 1)]


@pytest.mark.usefixtures("steady")
def test_it_is_known_when_a_key_works_again(answers: KeyAnswers) -> None:
    found = [answers.note("key", answer, Circuit()) for answer in (None, None, DOWN, DOWN, None)]
    assert found == [False, False, False, False, True]


@pytest.mark.usefixtures("steady")
def test_what_could_not_be_recorded_is_tried_again() -> None:
    class Failing(Recorded):
        def note(self, *args: Any) -> bool:
            super().note(*args)
            raise OSError

    recorded: Any = Failing()
    answers = KeyAnswers(recorded, lambda: NOW)
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011 - its own
            answers.note("key", None, Circuit())
    assert len(recorded.rows) == 2


@pytest.mark.usefixtures("steady")
def test_when_the_key_is_tried_again_is_recorded(answers: KeyAnswers, recorded: Recorded) -> None:
    answers.note("open", InvalidKey("HTTP 401"), Circuit().open(NOW, 60))
    answers.note("closed", DOWN, Circuit().open(NOW - 90, 60))
    assert [next_at for *_, next_at, _ in recorded.rows] == [NOW + 60, NOW]


@pytest.mark.parametrize(
    ("answer", "is_paused", "kind"),
    [
        (None, False, "taken"),
        (DOWN, False, "failing"),
        (RateLimited("limit reached", 60), False, "limited"),
        (Unreachable("no such host"), True, "unreachable"),
        (InvalidKey("HTTP 401"), True, "refused"),
        (Forbidden("HTTP 403"), True, "refused"),
        (RateLimited("one at a time", 2), False, None),
        # about the messages alone
        (Forbidden("HTTP 403"), False, "rejected"),
        (BatchRejected("HTTP 400"), False, "rejected"),
    ],
)
def test_an_answer_says_this_of_its_key(
    answer: SendError | None, is_paused: bool, kind: Kind | None
) -> None:
    assert kind_of(answer, is_paused) == kind


@pytest.mark.usefixtures("steady")
def test_while_the_key_works_not_every_batch_is_recorded(
    answers: KeyAnswers, recorded: Recorded
) -> None:
    for answer in (None, BatchRejected("HTTP 400"), None, BatchRejected("HTTP 400")):
        answers.note("key", answer, Circuit())
    assert [(kind, failures) for _, kind, _, _, failures in recorded.rows] == [("taken", 0)]
