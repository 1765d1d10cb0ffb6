"""How a destination last answered to each key, and since when it takes nothing."""

import pytest
from sqlalchemy import Engine

from app.database.engine import reader
from app.outbox.answers import Answers, Kind, LastAnswer, fingerprint, read_answers
from tests.support.builders import NOW


@pytest.fixture
def answers(engine: Engine) -> Answers:
    return Answers(engine, "segment")


def read(engine: Engine, key: str = "key", destination: str = "segment") -> LastAnswer | None:
    with reader(engine) as connection:
        return read_answers(connection, destination).get(fingerprint(key))


def test_the_first_answer_is_kept_whole(engine: Engine, answers: Answers) -> None:
    answers.note("key", "failing", "HTTP 500", NOW, NOW + 5, 1)
    assert read(engine) == LastAnswer(
        "failing", "HTTP 500", NOW, NOW + 5, failures=1, failing_since=NOW
    )
    answers.note("good", "taken", "taken", NOW, NOW, 0)
    assert read(engine, "good") == LastAnswer("taken", "taken", NOW, NOW, taken_at=NOW)


def test_trouble_has_one_beginning_and_all_its_failures(engine: Engine, answers: Answers) -> None:
    answers.note("key", "taken", "taken", NOW - 60, NOW - 60, 0)
    kinds: tuple[Kind, ...] = ("failing", "failing", "unreachable", "refused")
    for n, kind in enumerate(kinds):
        answers.note("key", kind, f"reason {n}", NOW + n, NOW + 10 + n, n + 1)
    assert read(engine) == LastAnswer(
        *("refused", "reason 3", NOW + 3, NOW + 13),
        failures=1 + 2 + 3 + 4,
        taken_at=NOW - 60,
        failing_since=NOW,
    )


def test_the_end_of_trouble_is_when_something_was_first_taken(
    engine: Engine, answers: Answers
) -> None:
    answers.note("key", "failing", "HTTP 500", NOW, NOW + 5, 3)
    for n in (10, 20):
        answers.note("key", "taken", "taken", NOW + n, NOW + n, 0)
    assert read(engine) == LastAnswer(
        "taken", "taken", NOW + 20, NOW + 20, taken_at=NOW + 20, recovered_at=NOW + 10
    )
    answers.note("key", "failing", "HTTP 500", NOW + 30, NOW + 35, 1)
    again = read(engine)
    assert again
    assert (again.failing_since, again.failures, again.taken_at) == (NOW + 30, 1, NOW + 20)
    assert again.recovered_at == NOW + 10


def test_keys_and_destinations_are_apart(engine: Engine, answers: Answers) -> None:
    answers.note("key", "taken", "taken", NOW, NOW, 0)
    Answers(engine, "drip").note("key", "refused", "HTTP 401", NOW, NOW, 1)
    answers.note("another", "failing", "HTTP 500", NOW, NOW, 1)
    found = [read(engine), read(engine, destination="drip"), read(engine, "another")]
    assert [each and each.kind for each in found] == ["taken", "refused", "failing"]


def test_no_key_is_in_the_database(engine: Engine, answers: Answers) -> None:
    answers.note("canary-key", "taken", "taken", NOW, NOW, 0)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM answers").all()
    assert len(kept) == 1
    assert "canary" not in str(kept)
    assert fingerprint("canary-key") in str(kept)
