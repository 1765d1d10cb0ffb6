"""A reason is the same for the same trouble, and shows nothing of a message."""

import pytest

from app.outbox.reasons import MOST, of_errors, of_failure, of_release, short


@pytest.mark.parametrize(
    ("reason", "words", "expected"),
    [
        ("HTTP 500", "", "HTTP 500"),
        ("HTTP 401: check SEGMENT_WRITE_KEY", "", "HTTP 401"),
        ("no answer (ReadTimeout)", "", "no answer (ReadTimeout)"),
        # the status, which the SDK puts before Segment's answer, is there already
        ("HTTP 400", "400: Field email_subject is too long", "HTTP 400: Field email_subject is…"),
        ("HTTP 400", '"email_subject" is too long', 'HTTP 400: "email_subject" is too long'),
        ("HTTP 422", "ana@example.com is not valid", "HTTP 422: … is not valid"),
        ("HTTP 422", "<ana+7@example.com>, no", "HTTP 422: … no"),
        ("HTTP 422", 'value "Ana of Madrid" is bad', "HTTP 422: value … is bad"),
        ("HTTP 422", "value 'Ana of Madrid' is bad", "HTTP 422: value … is bad"),
        ("HTTP 422", "value “Ana” is bad", "HTTP 422: value … is bad"),
        ("HTTP 400", "id d1f7c2a9 at 1762076013 of 17", "HTTP 400: id … at … of #"),
        ("HTTP 400", "too\n\n  long ", "HTTP 400: too long"),
    ],
)
def test_a_failure_has_what_happened_and_what_the_destination_answered(
    reason: str, words: str, expected: str
) -> None:
    found = of_failure(reason, words)
    assert found == expected or (expected.endswith("…") and found.startswith(expected[:-1]))


PEOPLE = (
    ("ana@example.com", "e7c1f0aa", "17", '"Hola, Ana"'),
    ("bo.b@shop.example", "00c1f0ab", "4096", '"Autumn news: 20 %"'),
)


def test_the_same_trouble_of_two_people_has_one_reason_without_them() -> None:
    words = "400: event {1} of {0}: field properties.email_subject has {2} characters: {3}"
    found = {of_failure("HTTP 400", words.format(*person)) for person in PEOPLE}
    assert found == {"HTTP 400: event … of … field properties.email_subject has # characters: …"}


def test_two_troubles_have_two_reasons() -> None:
    fields = ("email_subject", "email_id")
    found = {of_failure("HTTP 400", f'Field "{field}" is too long') for field in fields}
    assert len(found) == 2


@pytest.mark.parametrize("length", [MOST - 10, MOST - 9, 100_000])
def test_a_reason_is_short_enough_for_an_index(length: int) -> None:
    found = of_failure("HTTP 400", "x" * length)
    assert len(found) == min(MOST, len("HTTP 400: ") + length)
    assert found.endswith("…") == (len("HTTP 400: ") + length > MOST)


def test_what_no_database_keeps_is_left_out() -> None:
    assert "\x00" not in of_failure("HTTP 400", "a\x00b")


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        ("HTTP 401: check SEGMENT_WRITE_KEY", "HTTP 401"),
        ("Drip's limit is reached. It takes more at 10:00", "Drip's limit is reached"),
    ],
)
def test_what_waits_untried_has_what_happened_alone(why: str, expected: str) -> None:
    assert short(why) == of_release(why) == expected


def test_a_body_that_cannot_be_read_has_its_first_error() -> None:
    assert of_errors({"": ["Not JSON."]}) == "Not JSON."
    several = {"data.subscriber": ["Missing.", "No."], "event": ["Not text."]}
    assert of_errors(several) == "data.subscriber: Missing. No."
    places = {of_errors({f"batch.{n}.type": ["Not text."]}) for n in (3, 17)}
    assert places == {"batch.#.type: Not text."}
    assert of_errors({}) == ""
