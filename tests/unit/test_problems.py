"""What is wrong, in sentences that claim no more than the stats show."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from app.drip_to_segment.destination import SegmentDestination
from app.monitoring.deliverers import ALIVE, Deliverer
from app.monitoring.problem import Problem, unkept
from app.monitoring.problems import HELD, MOVING, PASSING, find_problems
from app.monitoring.stats import CAUSES, Issue, Quota, Stats, Waiting
from app.monitoring.watched import STARTING, Watched, find_all
from app.outbox.answers import Kind, LastAnswer
from app.outbox.loads import Load
from app.outbox.pruning import DAY
from app.outbox.quarantine import MOST_BYTES
from app.segment_to_drip.destination import LABELS as DRIP_LABELS
from tests.support.builders import PretendDestination

NOW = 1_800_000_000.0
"""08:00 UTC."""
MINUTE = 60.0
HOUR = 3600.0
LONGEST_WAIT = SegmentDestination.limits.longest_wait
SEGMENT = SegmentDestination("https://api.segment.io", None, {})
NOTHING: Mapping[str, int] = dict.fromkeys(("pending", "held", "sent", "dead", "quarantined"), 0)
EMPTY = Stats(NOTHING, (), (), None, None, 0, 0, 0, {}, (), 0)
RUNNING = Deliverer("1", NOW - HOUR, NOW - 1)


def stats(*waiting: Waiting, deliverer: Deliverer | None = RUNNING, **changes: Any) -> Stats:
    held = sum(each.count for each in waiting if each.cause == "held")
    states = {**NOTHING, "held": held, **changes.pop("states", {})}
    deliverers = (deliverer,) if deliverer else ()
    return replace(EMPTY, states=states, waiting=waiting, deliverers=deliverers, **changes)


def held(age: float, count: int = 1, account: str = "5150") -> Waiting:
    return Waiting(account, "held", count, NOW - age, NOW - age, None)


def queued(age: float, count: int = 1, answer: LastAnswer | None = None) -> Waiting:
    return Waiting("4417", "queued", count, NOW - age, NOW - age, answer)


def answered(kind: Kind, age: float, reason: str = "HTTP 500", **changes: Any) -> LastAnswer:
    """A key that takes nothing since so many seconds."""
    since = None if kind == "taken" else NOW - age
    answer = LastAnswer(kind, reason, NOW - 1, NOW + 5, failing_since=since)
    return replace(answer, **changes)


def stuck(
    kind: Kind, age: float, count: int = 1, account: str = "4417", reason: str = "HTTP 500"
) -> Waiting:
    """Messages that wait since the destination gives this answer."""
    answer = answered(kind, age, reason)
    return Waiting(account, CAUSES[kind], count, NOW - age, NOW + 5, answer)


def issue(state: str, reason: str, count: int = 1, age: float = 0.0) -> Issue:
    return Issue("segment", state, reason, count, NOW - age, NOW - age, 1)


def problems(found: Stats, silence: float | None = None) -> list[Problem]:
    return find_problems(found, SEGMENT, NOW, silence)


def of_all(found: Stats) -> list[Problem]:
    """Those of a bridge with this direction, whose process has watched for long."""
    return find_all([Watched(SEGMENT, lambda: found, lambda: True, 0.0)], NOW).problems


def names(found: Stats) -> dict[str, str]:
    return {problem.name: problem.level for problem in of_all(found)}


def test_nothing_is_wrong_with_nothing() -> None:
    assert of_all(stats()) == []
    assert of_all(stats(queued(1), states={"sent": 7})) == []


# an outage


@pytest.mark.parametrize("kind", ["failing", "unreachable"])
def test_an_outage_is_reported_while_an_older_event_is_held(kind: Kind) -> None:
    found = stats(held(24 * HOUR), stuck(kind, 379, count=196))
    assert names(found) == {kind: "critical", "held": "critical"}


@pytest.mark.parametrize(("age", "level"), [(PASSING - 1, "notice"), (PASSING, "critical")])
def test_a_failure_that_may_pass_is_only_shown(age: float, level: str) -> None:
    for kind in ("failing", "unreachable"):
        assert names(stats(stuck(kind, age))) == {kind: level}


def test_an_outage_is_one_sentence_with_how_much_since_when_and_until() -> None:
    (problem,) = problems(stats(stuck("failing", 8 * MINUTE, count=190), queued(1)))
    assert problem.sentence == (
        "Segment is not accepting events (HTTP 500). 190 events waiting since 07:52 UTC, none "
        "lost: tried again soon, until 18 Jan 07:52 UTC at least."
    )
    assert (problem.count, problem.since) == (190, NOW - 8 * MINUTE)


def test_the_reason_that_most_events_wait_for_is_named() -> None:
    few, many = stuck("failing", 70, 3), stuck("failing", 90, 7, "5150", reason="HTTP 503")
    (problem,) = problems(stats(few, many))
    assert problem.title == "Segment is not accepting events (HTTP 503)"
    assert (problem.count, problem.since) == (10, NOW - 90)


def test_a_failure_for_which_nothing_waits_is_no_problem() -> None:
    found = replace(stats(), answers={"a-hash": answered("failing", HOUR)})
    assert of_all(found) == []


@pytest.mark.parametrize("reason", ["HTTP 401", "HTTP 401: check SEGMENT_WRITE_KEY"])
def test_a_refused_key_is_reported_at_once_with_what_to_check(reason: str) -> None:
    (problem,) = problems(stats(stuck("refused", 1, reason=reason)))
    assert (problem.level, problem.title) == ("critical", "Segment refuses a key (HTTP 401)")
    assert problem.action.startswith("Check SEGMENT_WRITE_KEY")
    assert problem.accounts == ("4417",)


def test_a_limit_that_is_reached_is_no_failure() -> None:
    (problem,) = problems(stats(stuck("limited", HOUR, reason="Limit reached")))
    assert problem.level == "notice"


# nothing that is stuck is ever fine


@pytest.mark.parametrize(
    "found",
    [
        stats(queued(1), deliverer=None),
        stats(queued(1), deliverer=replace(RUNNING, seen_at=NOW - ALIVE)),
        stats(deliverer=None),
        stats(held(HELD + 1)),
        stats(stuck("failing", PASSING)),
        stats(queued(LONGEST_WAIT + 1)),
    ],
    ids=["no deliverer", "deliverer gone", "no deliverer, no events", "no key", "500", "stuck"],
)
def test_what_does_not_flow_is_critical(found: Stats) -> None:
    assert [problem.level for problem in of_all(found)] == ["critical"]


def test_that_a_process_sends_is_known_a_while_after_its_start() -> None:
    def found(age: float) -> list[Problem]:
        watched = Watched(SEGMENT, lambda: stats(deliverer=None), lambda: True, NOW - age)
        return find_all([watched], NOW).problems

    assert found(STARTING - 1) == []
    assert [problem.name for problem in found(STARTING)] == ["deliverer"]


def test_events_without_a_key_are_shown_at_once_and_reported_soon() -> None:
    assert names(stats(held(HELD))) == {"held": "notice"}
    assert names(stats(held(HELD + 1))) == {"held": "critical"}


# after an hour


def test_what_failed_is_a_problem_however_long_ago() -> None:
    found = stats(
        states={"dead": 11, "quarantined": 23},
        issues=(
            issue("dead", "HTTP 400", 11, 90 * HOUR),
            issue("quarantined", "no", 23, 80 * HOUR),
        ),
    )
    assert names(found) == {"failed": "warning", "rejected": "warning"}
    assert [problem.count for problem in of_all(found)] == [11, 23]


def test_what_was_dismissed_is_none() -> None:
    assert of_all(stats(states={"dead": 0, "quarantined": 0, "dismissed": 34})) == []


# a repair


def test_a_repair_raises_no_false_alarm() -> None:
    """The key was set, and the bridge restarted, after the events had waited for 18 minutes."""
    restarted = Deliverer("1", NOW - 1, NOW)
    assert of_all(stats(queued(18 * MINUTE), deliverer=restarted)) == []
    still = replace(restarted, started_at=NOW - LONGEST_WAIT - 1)
    assert names(stats(queued(18 * MINUTE), deliverer=still)) == {"waiting": "critical"}


def test_events_count_as_stuck_from_the_end_of_an_outage() -> None:
    answer = answered("taken", 0, recovered_at=NOW - 1, taken_at=NOW - 1)
    assert of_all(stats(queued(6 * HOUR, answer=answer))) == []


def test_events_that_are_due_later_are_not_stuck() -> None:
    later = replace(queued(2 * HOUR), due_at=NOW + HOUR)
    assert of_all(stats(later)) == []


@pytest.mark.parametrize(
    ("taken", "level", "title"),
    [
        (MOVING - 1, "warning", "Delivery to Segment is behind"),
        (MOVING, "critical", "Nothing goes to Segment"),
    ],
)
def test_delivery_that_is_behind_is_not_delivery_that_stands(
    taken: float, level: str, title: str
) -> None:
    answer = answered("taken", 0, taken_at=NOW - taken)
    (problem,) = problems(stats(queued(LONGEST_WAIT + 60, 7, answer)))
    assert (problem.level, problem.title) == (level, title)


# other checks


def test_a_full_quarantine_is_critical() -> None:
    assert names(stats(quarantine_bytes=MOST_BYTES // 3)) == {}
    assert names(stats(quarantine_bytes=MOST_BYTES)) == {"quarantine full": "critical"}


def test_silence_is_a_problem_if_it_was_asked_for() -> None:
    found = stats(last_webhook=NOW - 25 * HOUR)
    assert problems(found) == problems(found, 26 * HOUR) == problems(stats(), HOUR) == []
    (problem,) = problems(found, 24 * HOUR)
    assert problem.title == "No webhook from Drip for 25 hours"


def test_the_gravest_come_first() -> None:
    found = stats(
        stuck("failing", 1),
        held(HELD + 1),
        states={"dead": 1},
        issues=(issue("dead", "HTTP 400"),),
    )
    assert [problem.level for problem in of_all(found)] == ["critical", "warning", "notice"]


# words


def all_problems(count: int) -> list[Problem]:
    """One of each kind, of so many events, accounts and reasons."""
    accounts = [f"canary-{n}" for n in range(count)]
    kinds: tuple[Kind, ...] = ("failing", "unreachable", "refused", "limited")
    found = stats(
        *(
            replace(stuck(kind, HOUR), account=account, count=1)
            for kind in kinds
            for account in accounts
        ),
        *(held(HOUR, account=account) for account in accounts),
        replace(queued(HOUR, count), account="canary-queued"),
        states={"dead": count, "quarantined": count},
        issues=tuple(
            issue(state, f"reason {n}") for state in ("dead", "quarantined") for n in range(count)
        ),
        quarantine_bytes=MOST_BYTES,
        last_webhook=NOW - 25 * HOUR,
        quotas=(Quota("canary", "requests", 0, 1),),
    )
    absent = of_all(replace(found, deliverers=()))
    others = problems(found, HOUR)
    return [*others, *(each for each in absent if each.name == "deliverer")]


EACH = {
    *("failing", "unreachable", "refused", "limited", "held", "waiting", "failed", "rejected"),
    *("quarantine full", "silence", "deliverer"),
}


@pytest.mark.parametrize("count", [1, 5])
def test_no_sentence_names_an_account(count: int) -> None:
    found = all_problems(count)
    assert {problem.name for problem in found} == EACH
    for problem in found:
        for text in (problem.title, problem.facts, problem.action, problem.over, problem.page):
            assert "canary" not in text
    named = {problem.name: problem.accounts for problem in found if problem.accounts}
    few = ("canary-0",) if count == 1 else ("canary-0", "canary-1", "canary-2", "and 2 more")
    assert named == {"refused": few, "held": few}


@pytest.mark.parametrize("count", [1, 2])
def test_sentences_are_whole(count: int) -> None:
    for problem in all_problems(count):
        assert not problem.title.endswith("."), problem.name
        assert not problem.title[0].islower()
        for text in (problem.facts, problem.action):
            assert text == "" or (text[0].isalnum() and text.endswith(".")), problem.name
        assert problem.over[0].isupper()
        for wrong in ("..", ". .", "  ", ".;", " 1 events", " 1 accounts", "2 event ", "None"):
            assert wrong not in f" {problem.sentence} ", problem.name


@pytest.mark.parametrize(
    ("count", "titles"),
    [
        (
            1,
            {
                "held": "No write key is set for 1 Drip account",
                "failed": "1 event failed: reason 0",
                "rejected": "1 webhook from Drip could not be read",
            },
        ),
        (
            2,
            {
                "held": "No write key is set for 2 Drip accounts",
                "failed": "2 events failed: reason 0, and 1 other reason",
                "rejected": "2 webhooks from Drip could not be read, for 2 reasons",
            },
        ),
        (
            3,
            {
                "held": "No write key is set for 3 Drip accounts",
                "failed": "3 events failed: reason 0, and 2 other reasons",
            },
        ),
    ],
)
def test_one_and_many_have_their_grammar(count: int, titles: dict[str, str]) -> None:
    found = {problem.name: problem.title for problem in all_problems(count)}
    assert {name: found[name] for name in titles} == titles


def test_words_are_those_of_the_direction() -> None:
    class PretendDrip(PretendDestination):
        labels = DRIP_LABELS

    destination: Any = PretendDrip()
    (problem,) = find_problems(stats(held(HOUR)), destination, NOW)
    assert problem.title == "No API token is set for 1 Drip account"
    assert "DRIP_API_TOKENS" in problem.action
    assert unkept(DRIP_LABELS).title == "Webhooks from Segment cannot be kept"


# the warehouse


def load(lag: float | None, **changes: Any) -> Load:
    oldest = None if lag is None else NOW - lag
    fields: dict[str, Any] = {"loaded_at": None, "count": 0, "failing_since": None, "error": None}
    return Load(**{**fields, "oldest": oldest, "every": None, "retention": 7 * DAY, **changes})


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (load(None), None),
        (load(None, error="x", failing_since=NOW), None),
        (load(25 * HOUR), None),
        (load(27 * HOUR), "warning"),
        (load(50 * MINUTE, every=600.0), None),
        (load(70 * MINUTE, every=600.0), "warning"),
        (load(10 * HOUR, every=4 * HOUR), None),
        (load(70 * MINUTE, error="x", failing_since=NOW - HOUR), "warning"),
        (load(8 * DAY), "critical"),
    ],
)
def test_a_warehouse_that_is_behind_is_reported(found: Load, level: str | None) -> None:
    assert names(stats(load=found)).get("warehouse") == level


def test_it_is_said_why_and_what_becomes_of_the_events() -> None:
    found = load(8 * DAY, loaded_at=NOW - 9 * DAY, error="IOException", failing_since=NOW - HOUR)
    (problem,) = problems(stats(load=found))
    assert "The oldest event that is not loaded came 192 hours ago; last load: 6 Jan" in (
        problem.facts
    )
    assert "Loads fail since 07:00 UTC: IOException." in problem.facts
    assert "kept for it beyond their retention, until 13 Feb 08:00 UTC" in problem.facts


def test_an_erasure_that_is_not_done_is_reported() -> None:
    assert names(stats(load=load(None, to_erase=NOW - 27 * HOUR))) == {
        "warehouse erasure": "warning"
    }
    assert names(stats(load=load(None, to_erase=NOW - HOUR))) == {}
