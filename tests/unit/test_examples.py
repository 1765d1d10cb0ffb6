"""An example of the docs or of a message, copied to the letter, is no secret, key or address."""

import re
from collections.abc import Iterator

import pytest

from app.config.fields import Choice, Number, Whole, YesNo
from app.config.schema import KNOWN, EnvironSchema
from app.config.settings import environ_to_settings
from app.errors import ConfigError
from tests.support.bridge_process import ROOT

FIELDS = EnvironSchema().fields

REAL = {
    *(name for name, field in FIELDS.items() if isinstance(field, (Choice, Number, Whole, YesNo))),
    *(
        "SEGMENT_HOST",
        "DRIP_API_URL",
        "DRIP_MAPPING",
        "DRIP_CONSENT_CATEGORY",
        "DRIP_ORDER_PROVIDER",
        "WAREHOUSE_EVERY",
        "WAREHOUSE_SCHEMA",
        "WAREHOUSE_URL",
    ),
}
"""Variables whose examples are values that the bridge works with."""

TOKEN = "sixteen-letters!"

EXAMPLE = re.compile(r"\b([A-Z][A-Z_]+)=([^\s`'\"<|;]+)")

TRIAL = "## Try it on a laptop"
"""A part of the docs that is for loopback alone. Its values have to work as they are."""


def errors(name: str, value: str) -> str:
    try:
        environ_to_settings({"DRIP_WEBHOOK_TOKEN": TOKEN, name: value})
    except ConfigError as error:
        return str(error)
    return ""


def printed() -> Iterator[tuple[str, str]]:
    """Each variable with a value in the README, the docs and the pages, but for real ones."""
    files = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "app").rglob("*.html"),
    ]
    for file in files:
        for name, value in EXAMPLE.findall(file.read_text().partition(TRIAL)[0]):
            if name in KNOWN - REAL and not value.startswith("sqlite:"):
                yield name, value


@pytest.mark.parametrize("name", sorted(KNOWN - REAL))
def test_an_example_of_an_error_is_refused(name: str) -> None:
    example = FIELDS[name].metadata["example"]

    assert "is still to be filled in" in errors(name, example)


@pytest.mark.parametrize("name", sorted(REAL))
def test_an_example_that_is_a_real_value_is_taken(name: str) -> None:
    assert errors(name, FIELDS[name].metadata["example"]) == ""


def test_an_example_of_the_docs_and_pages_is_refused() -> None:
    found = sorted({*printed()})

    assert len(found) > 10
    assert [(name, value) for name, value in found if not errors(name, value)] == []


def test_a_value_of_ones_own_is_taken() -> None:
    environ_to_settings(
        {
            "DRIP_WEBHOOK_TOKEN": "kT9-your-own-token-of-24",
            "DATABASE_URL": "postgres://user:a-password@db.example.com:5432/bridge",
            "DRIP_ACCOUNT_ID": "99999991",
            "PUBLIC_URL": "https://bridge.example.org",
        }
    )
