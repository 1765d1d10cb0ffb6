"""The chart's figures, from the traffic of minutes."""

from app.inspector.chart import HEIGHT, SPANS, WIDTH, Last, starts_at, traffic_to_chart
from app.outbox.traffic import Minute

NOW = 1_762_076_013.0
MINUTE = 1_762_075_980
"""2025-11-02T09:33:00Z, the minute of `NOW`."""

OPENED, BOUNCED = "Email Opened", "Email Bounced"


def test_bars_stand_on_one_another_by_outcome() -> None:
    minutes = [Minute(MINUTE, BOUNCED, 3, 1, 0, 2), Minute(MINUTE, OPENED, 3, 5, 3, 0)]
    delivered, retried, failed = traffic_to_chart(minutes, "1h", NOW).bars
    eighth = HEIGHT / 8
    assert (delivered.outcome, delivered.y, delivered.height) == (
        "delivered",
        HEIGHT - 3 * eighth,
        3 * eighth,
    )
    assert (retried.outcome, retried.y, retried.height) == ("retried", 2 * eighth, 3 * eighth)
    assert (failed.outcome, failed.y, failed.height) == ("failed", 0, 2 * eighth)
    assert delivered.x == retried.x == failed.x == WIDTH / 60 * 59 + 1


def test_what_only_came_has_no_bar() -> None:
    chart = traffic_to_chart([Minute(MINUTE, OPENED, 7, 0, 0, 0)], "1h", NOW)
    assert chart.bars == ()
    assert (chart.total.received, chart.total.delivered) == (7, 0)


def test_each_column_is_where_its_time_is() -> None:
    minutes = [Minute(MINUTE - 59 * 60, OPENED, 0, 1, 0, 0), Minute(MINUTE, OPENED, 0, 1, 0, 0)]
    oldest, newest = traffic_to_chart(minutes, "1h", NOW).bars
    assert (oldest.x, newest.x) == (1, WIDTH / 60 * 59 + 1)
    assert oldest.width == newest.width == WIDTH / 60 - 2


def test_minutes_of_one_column_are_one_bar() -> None:
    minutes = [Minute(MINUTE, OPENED, 1, 1, 0, 0), Minute(MINUTE - 120, OPENED, 1, 2, 0, 0)]
    chart = traffic_to_chart(minutes, "24h", NOW)
    (bar,) = chart.bars
    assert bar.height == HEIGHT
    (row,) = chart.rows
    assert (row.at, row.received, row.delivered) == (MINUTE - 3 * 60, 2, 3)


def test_what_is_older_or_in_the_future_is_left_out() -> None:
    for last, (seconds, columns) in SPANS.items():
        start = starts_at(last, NOW)
        outside = [start - 60, start + columns * seconds]
        chart = traffic_to_chart([Minute(at, OPENED, 1, 1, 1, 1) for at in outside], last, NOW)
        assert (chart.bars, chart.rows, chart.kinds) == ((), (), ())


def test_the_numbers_by_column_are_newest_first_without_the_empty_ones() -> None:
    minutes = [Minute(MINUTE - 300, OPENED, 2, 1, 1, 0), Minute(MINUTE, BOUNCED, 1, 0, 0, 1)]
    rows = traffic_to_chart(minutes, "15m", NOW).rows
    assert [(row.at, row.received, row.delivered, row.retried, row.failed) for row in rows] == [
        (MINUTE, 1, 0, 0, 1),
        (MINUTE - 300, 2, 1, 1, 0),
    ]


def test_the_numbers_by_kind_have_the_largest_first() -> None:
    minutes = [
        Minute(MINUTE, BOUNCED, 1, 1, 0, 0),
        Minute(MINUTE, OPENED, 2, 0, 0, 0),
        Minute(MINUTE - 60, OPENED, 2, 4, 2, 1),
        Minute(MINUTE, "", 3, 0, 0, 0),
    ]
    chart = traffic_to_chart(minutes, "1h", NOW)
    kinds = [(row.name, row.received, row.delivered, row.failed) for row in chart.kinds]
    assert kinds == [(OPENED, 4, 4, 1), ("", 3, 0, 0), (BOUNCED, 1, 1, 0)]
    assert (chart.total.received, chart.total.delivered, chart.total.retried) == (8, 5, 2)


def test_the_scale_is_a_round_number() -> None:
    def top(sent: int) -> int:
        return traffic_to_chart([Minute(MINUTE, OPENED, 0, sent, 0, 0)], "1h", NOW).top

    assert [top(sent) for sent in (0, 1, 7, 9, 11, 99, 101, 801)] == [
        *(1, 1, 8, 10, 20, 100, 200, 1000),
    ]


def test_times_have_their_day_if_the_span_has_several() -> None:
    def times(last: Last) -> tuple[str, ...]:
        return traffic_to_chart([], last, NOW).times

    assert times("15m") == ("09:19", "09:22", "09:26", "09:30")
    assert times("1h") == ("08:34", "08:49", "09:04", "09:19")
    assert times("24h") == ("1 Nov 10:00", "1 Nov 16:00", "1 Nov 22:00", "2 Nov 04:00")
    assert times("7d")[0] == "26 Oct 10:00"
