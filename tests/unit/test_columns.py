"""Names of columns and tables are those that Segment's own loader makes."""

import pytest

from app.columns import LONGEST, identifier, snake_case

# the first part of these is what Segment's go-snakecase is tested with


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("sample text", "sample_text"),
        ("sample-text", "sample_text"),
        ("sample___text", "sample_text"),
        ("sampleText", "sample_text"),
        ("   $#$sample   2    Text   ", "sample_2_text"),
        ("SAMPLE 2 TEXT", "sample_2_text"),
        ("___$$Base64Encode", "base64_encode"),
        ("FOO:BAR$BAZ", "foo_bar_baz"),
        ("•¶§ƒ˚foo˙∆˚¬", "foo"),
        ("sample2Text", "sample_2text"),
        ("userAgent", "user_agent"),
        ("Email Marked as Spam", "email_marked_as_spam"),
        ("é", ""),
        ("", ""),
    ],
)
def test_a_name_is_written_as_segment_writes_it(name: str, column: str) -> None:
    assert snake_case(name) == column


def test_any_warehouse_takes_the_name() -> None:
    assert identifier("2fa") == "_2fa"
    assert identifier("context__a") == "context_a"
    assert identifier("a" * LONGEST) == "a" * LONGEST


def test_names_that_differ_at_their_end_stay_apart_when_they_are_cut() -> None:
    one, other = identifier("a" * 80), identifier("a" * 79 + "b")
    assert one != other
    assert {len(one), len(other)} == {LONGEST}
