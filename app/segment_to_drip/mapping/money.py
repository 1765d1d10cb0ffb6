"""Read amounts of money as whole cents, or say why not. A wrong amount would count as revenue."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

MOST_CENTS = 2_147_483_646
"""Drip documents "less than 2,147,483,647"."""

NEGATIVE = "Negative."
NOT_WHOLE = "Not a whole number of cents."
TOO_LARGE = "More than Drip takes."
UNCLEAR = "Not an amount that can be read in one way only."

_AMOUNT = re.compile(
    r"(?!\D.*\D$)[$€£¥]?\s*(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)?(?P<cents>\.[0-9]+)?\s*[$€£¥]?"
)


def to_cents(amount: Any) -> int | str:
    """An amount in major units as cents, half a cent up; or the reason why it has none.

    The factor is 100 in any currency, as in Segment's own destination.
    """
    number = _to_decimal(amount)
    if number is None:
        return UNCLEAR
    if number < 0:
        return NEGATIVE
    if number > MOST_CENTS:
        return TOO_LARGE
    cents = int((number * 100).quantize(Decimal(1), ROUND_HALF_UP))
    return cents if cents <= MOST_CENTS else TOO_LARGE


def to_amount(amount: Any) -> float | str:
    """An amount in major units as a number, or the reason why it is none."""
    number = _to_decimal(amount)
    if number is None or not number.is_finite():
        return UNCLEAR
    return NEGATIVE if number < 0 else float(number)


def as_cents(value: Any) -> int | str:
    """A whole number of cents as it is, or the reason why it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return NOT_WHOLE
    if value < 0:
        return NEGATIVE
    return int(value) if value <= MOST_CENTS else TOO_LARGE


def _to_decimal(amount: Any) -> Decimal | None:
    if isinstance(amount, str):
        return _text_to_decimal(amount.strip())
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return None
    # the shortest text of a float is what was written: 19.99, and not 19.989999999999998436…
    return Decimal(repr(amount))


def _text_to_decimal(text: str) -> Decimal | None:
    """An amount as text, if it means the same wherever it was written.

    1,204 and 1.204 may be a thousand or one; 1,50 and 1.204,50 are no numbers in English.
    """
    negative = text.startswith("-")
    found = _AMOUNT.fullmatch(text[1:] if negative else text) if len(text) <= 40 else None
    if not found or not (found["whole"] or found["cents"]):
        return None
    whole, cents = found["whole"] or "0", found["cents"] or ""
    one_group = whole.count(",") == 1 and not cents
    thousands = len(cents) == 4 and len(whole) <= 3 and not whole.startswith("0")
    if one_group or thousands:
        return None
    number = Decimal(whole.replace(",", "") + cents)
    return -number if negative else number
