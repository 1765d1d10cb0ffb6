"""How counts, times, errors and bodies are written for people and as JSON."""

import pytest

from app.formatting import (
    event_to_values,
    iso_time,
    join_reasons,
    long_duration,
    percent,
    pluralize,
    printable,
    read_duration,
    read_reasons,
    short_duration,
)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (2000, "2,000 events")]
)
def test_a_count_is_followed_by_its_noun_in_the_right_number(count: int, text: str) -> None:
    assert pluralize(count, "event") == text


def test_a_plural_may_be_irregular() -> None:
    assert [pluralize(count, "try", "tries") for count in (1, 2)] == ["1 try", "2 tries"]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        *[("90s", 90.0), ("15m", 900.0), (" 1h ", 3600.0), ("7d", 604_800.0)],
        *[(wrong, None) for wrong in ("", "1", "h", "-1h", "1.5h", "1 h", "1w", "1234567s")],
    ],
)
def test_a_duration_is_read(text: str, duration: float | None) -> None:
    assert read_duration(text) == duration


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "0 %"), (0, 9, "0 %"), (9, 9, "100 %"), (199, 200, "99.5 %"), (1, 3, "33.3 %")],
)
def test_a_share_is_shown(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (59, "59 s", "1 minutes"),
        (3599, "59 min", "60 minutes"),
        (7200, "2 h", "2 hours"),
        (200_000, "2 days", "56 hours"),
    ],
)
def test_durations_are_short_on_pages_and_long_in_sentences(
    seconds: int, short: str, long: str
) -> None:
    assert (short_duration(seconds), long_duration(seconds)) == (short, long)


def test_invisible_characters_are_escaped_unless_they_are_kept() -> None:
    assert printable("a\n\x1b\u202eb") == r"a\n\x1b\u202eb"
    assert printable("a\n\x1b", keep="\n") == "a\n\\x1b"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, ""),
        ("HTTP 400: bad", "HTTP 400: bad"),
        (
            '{"email": ["Missing.", "Blank."], "name": ["No."]}',
            "email: Missing. Blank; name: No.",
        ),
        ("[1]", "[1]"),
    ],
)
def test_reasons_are_listed_by_field_if_there_are_fields(error: str | None, text: str) -> None:
    assert join_reasons(read_reasons(error)) == text


@pytest.mark.parametrize(
    ("raw", "values"),
    [(b"text", {"raw": "text"}), (b"\xff", {"raw": None, "raw_base64": "/w=="})],
)
def test_a_body_that_is_not_text_is_given_in_base64(raw: bytes, values: dict[str, str]) -> None:
    times = {"received_at": 0.0, "due_at": 0.0, "settled_at": None, "dismissed_at": None}
    fields = {**times, "payload": '{"a": 1}', "raw": raw}
    epoch = "1970-01-01T00:00:00Z"
    assert event_to_values(fields, iso_time) == {
        "received_at": epoch,
        "due_at": epoch,
        "settled_at": None,
        "dismissed_at": None,
        "payload": {"a": 1},
        **values,
    }
