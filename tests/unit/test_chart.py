"""The chart's figures, from the traffic of minutes."""

from app.drip_to_segment.mapping import COLLECTIONS
from app.inspector.chart import HEIGHT, PATTERNS, WIDTH, starts_at, traffic_to_chart
from app.inspector.looks import LOOKS
from app.outbox.traffic import Minute

NOW = 1_762_076_013.0
MINUTE = 1_762_075_980
"""2025-11-02T09:33:00Z, the minute of `NOW`."""

KINDS = LOOKS["segment"].kinds
OPENED, BOUNCED = "Email Opened", "Email Bounced"


def test_every_collection_has_a_colour() -> None:
    assert set(KINDS) == {*COLLECTIONS.values()}
    kinds = [kind for look in LOOKS.values() for kind in look.kinds.values()]
    assert {*kinds, "unread"} == PATTERNS.keys()
    assert len({PATTERNS[kind] for kind in PATTERNS}) == len(PATTERNS)


def test_bars_stand_on_one_another_in_the_legends_order() -> None:
    minutes = [Minute(MINUTE, BOUNCED, 1, 0), Minute(MINUTE, OPENED, 3, 2)]
    opened, bounced = traffic_to_chart(minutes, KINDS, "minute", NOW).bars
    assert (opened.kind, opened.y, opened.height) == ("opened", HEIGHT / 4, HEIGHT * 3 / 4)
    assert (bounced.kind, bounced.y, bounced.height) == ("bounced", 0, HEIGHT / 4)
    assert opened.x == bounced.x == WIDTH / 60 * 59 + 1


def test_what_was_sent_is_a_line_of_the_same_height() -> None:
    chart = traffic_to_chart([Minute(MINUTE, OPENED, 3, 2)], KINDS, "minute", NOW)
    points = chart.sent.split()
    assert (chart.top, len(points)) == (3, 60)
    assert (points[0], points[-1]) == ("6,110", "714,36.67")


def test_the_window_begins_an_hour_or_two_days_ago() -> None:
    hour = 1_762_074_000
    first = MINUTE - 59 * 60
    assert starts_at("minute", NOW) == first
    assert starts_at("hour", NOW) == hour - 47 * 3600
    minutes = [Minute(first - 60, OPENED, 100, 100), Minute(first, OPENED, 1, 0)]
    chart = traffic_to_chart(minutes, KINDS, "minute", NOW)
    assert (chart.received_in_all, chart.sent_in_all, chart.bars[0].x) == (1, 0, 1)
    by_hour = traffic_to_chart(minutes, KINDS, "hour", NOW)
    assert (by_hour.received_in_all, len(by_hour.sent.split())) == (101, 48)
    assert chart.times == ("08:34", "08:49", "09:04", "09:19")
    assert by_hour.times == ("10:00", "22:00", "10:00", "22:00")


def test_the_table_has_each_busy_minute_newest_first() -> None:
    minutes = [Minute(MINUTE - 120, "", 7, 0), Minute(MINUTE, OPENED, 3, 2)]
    chart = traffic_to_chart(minutes, KINDS, "minute", NOW)
    assert [(row.at, row.received, row.sent) for row in chart.rows] == [
        (MINUTE, (0, 3, 0, 0, 0, 0, 0), 2),
        (MINUTE - 120, (0, 0, 0, 0, 0, 0, 7), 0),
    ]
    assert [(kind.name, kind.received) for kind in chart.legend if kind.received] == [
        ("Email Opened", 3),
        ("Could not be read", 7),
    ]


def test_a_chart_of_nothing_is_empty() -> None:
    chart = traffic_to_chart([], KINDS, "hour", NOW)
    assert (chart.bars, chart.rows, chart.top, chart.received_in_all) == ((), (), 1, 0)
