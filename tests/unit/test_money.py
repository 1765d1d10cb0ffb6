"""Amounts of money as cents: read in one way only, or not at all."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.segment_to_drip.mapping.money import (
    MOST_CENTS,
    NEGATIVE,
    NOT_WHOLE,
    TOO_LARGE,
    UNCLEAR,
    as_cents,
    to_cents,
)
from tests.support.any_json import json_of, thoroughly

DRIPS_LIMIT = 2_147_483_647


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        (19.99, 1999),
        (1.005, 101),
        (1.004999, 100),
        (0.615, 62),
        (1, 100),
        (0, 0),
        (-0.0, 0),
        (1.204, 120),
        (1e5, 10_000_000),
        (1e-7, 0),
        (21474836.46, DRIPS_LIMIT - 1),
        ("19.99", 1999),
        (" 19.99 ", 1999),
        ("$19.99", 1999),
        ("$ 19.99", 1999),
        ("19.99 €", 1999),
        ("$1,204.50", 120_450),
        ("1,204,500", 120_450_000),
        ("1,204.500", 120_450),
        ("1234.567", 123_457),
        ("0.005", 1),
        (".5", 50),
        ("0", 0),
        ("007.10", 710),
    ],
)
def test_an_amount_that_is_clear_is_cents(amount: Any, cents: int) -> None:
    assert to_cents(amount) == cents


@pytest.mark.parametrize(
    "amount",
    [
        *("1.204,50", "1,50", "1,204", "1.204", "12.345", "$1,204", "1,2,3", "12,34.50"),
        *("1 204.50", "1e5", "1_000", "٣", "0x10", "inf", "NaN", "", " ", "$", ".", "5.", "free"),
        *("$5$", "$5 €", "--5"),
        *("USD 5", "9" * 41),
        *(True, False, None, [19.99], {"amount": 19.99}),
    ],
)
def test_an_amount_with_two_meanings_or_none_is_no_value(amount: Any) -> None:
    assert to_cents(amount) == UNCLEAR


@pytest.mark.parametrize("amount", [-1, -19.99, -1e-9, "-5", "-$1,204.50", float("-inf")])
def test_a_refund_has_no_value(amount: Any) -> None:
    assert to_cents(amount) == NEGATIVE


@pytest.mark.parametrize(
    "amount", [21474836.47, "21474836.47", 21474836.465, 1e300, 10**4000, float("inf"), "9" * 40]
)
def test_more_than_drip_takes_is_no_value(amount: Any) -> None:
    assert to_cents(amount) == TOO_LARGE


@pytest.mark.parametrize(("value", "cents"), [(1999, 1999), (1999.0, 1999), (0, 0), (-0.0, 0)])
def test_a_whole_value_is_cents(value: Any, cents: int) -> None:
    found = as_cents(value)
    assert found == cents
    assert type(found) is int


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, NOT_WHOLE) for value in (19.99, "1999", True, None, [1], float("inf"))),
        (-1, NEGATIVE),
        (DRIPS_LIMIT, TOO_LARGE),
        (10**4000, TOO_LARGE),
    ],
)
def test_a_value_that_is_none_has_a_reason(value: Any, reason: str) -> None:
    assert as_cents(value) == reason


def test_the_largest_value_is_below_drips_limit() -> None:
    assert as_cents(MOST_CENTS) == MOST_CENTS == DRIPS_LIMIT - 1


@given(cents=st.integers(0, MOST_CENTS))
@thoroughly
def test_cents_come_back_from_every_way_to_write_them(cents: int) -> None:
    text = f"{Decimal(cents) / 100:.2f}"
    assert to_cents(text) == to_cents(f"${int(text[:-3]):,}{text[-3:]}") == cents
    assert to_cents(json.loads(text)) == cents


@given(amount=json_of(st.text(st.sampled_from("0123456789.,-$ eE"), max_size=12)))
@thoroughly
def test_whatever_comes_is_cents_in_range_or_a_reason(amount: Any) -> None:
    for found in (to_cents(amount), as_cents(amount)):
        assert found in (NEGATIVE, NOT_WHOLE, TOO_LARGE, UNCLEAR) or found in range(DRIPS_LIMIT)
