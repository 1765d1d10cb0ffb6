"""Attack 22: reading the secret out of how long its comparison takes."""

import random
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from statistics import median

import pytest

from app.web import auth
from tests.faults.conftest import scaled

SECRET = "s" * 50_000
"""Long, so that a comparison that ends at the first difference shows it."""


class PlainDigest:
    """A digest as long as the text and equal as far: what `sha256` hides is made visible."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def digest(self) -> bytes:
        return self._text


def ratio(ours: Sequence[str], one: str, other: str) -> float:
    """How much longer `is_valid_token` takes for the one than for the other; 1 is the same.

    The two take turns, in a random order, and the medians of many turns are compared: what else the
    machine does meets both alike.
    """
    seconds: dict[str, list[float]] = {one: [], other: []}
    for _ in range(scaled(400, 4_000)):
        for offered in random.sample((one, other), 2):
            start = time.perf_counter()
            auth.is_valid_token(offered, ours)
            seconds[offered].append(time.perf_counter() - start)
    return median(seconds[one]) / median(seconds[other])


PAIRS = {
    "wrong at the first letter or at the last": ((SECRET,), "x" + SECRET[1:], SECRET[:-1] + "x"),
    "wrong or right": ((SECRET,), SECRET[:-1] + "x", SECRET),
    "the first of ours or the last": (
        (SECRET, *("t" * len(SECRET) for _ in range(9)), SECRET[:-1] + "y"),
        SECRET,
        SECRET[:-1] + "y",
    ),
}


@pytest.mark.fault(22, "timing of the token's comparison")
@pytest.mark.parametrize("digest", [sha256, PlainDigest], ids=["as it is", "digests laid open"])
def test_the_time_of_a_comparison_does_not_depend_on_the_secret(
    digest: object, seen: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "sha256", digest)
    ratios = {name: ratio(*pair) for name, pair in PAIRS.items()}
    assert all(0.8 < value < 1.25 for value in ratios.values()), ratios
    name = "digests as they are" if digest is sha256 else "digests laid open"
    seen(f"{name}: " + ", ".join(f"{name} {value:.3f}" for name, value in ratios.items()))


@pytest.mark.fault(22, "timing by the length of the secret")
def test_the_time_of_a_comparison_does_not_show_the_length(
    seen: Callable[[str], None],
) -> None:
    short = ratio((SECRET,), "x" * 16, "x" * 17)
    assert 0.8 < short < 1.25
    seen(f"of 16 letters to 17: {short:.3f}")
