"""What the log says at start of the settings: enough to see a mistake, and no secret."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.config.settings import Settings
from app.config.summary import summary
from app.version import VERSION

KEYS = {"4417": "canary-1", "5150": "canary-2"}


def test_the_summary_names_hosts_and_no_secret(settings: Settings) -> None:
    everything = replace(
        settings,
        database_url=make_url("postgresql+psycopg://ana:canary@db.example.com/canary"),
        webhook_tokens=("canary-of-the-bridge",),
        segment_host="https://events.eu1.segmentapis.com",
        write_key="canary-0",
        write_keys=KEYS,
        segment_webhook_secrets=("canary-of-segment",),
        drip_account_id="9999999",
        drip_api_token="canary-3",
        drip_api_tokens=KEYS,
    )

    assert summary(everything) == {
        "version": VERSION,
        "database": "postgresql",
        "segment": "events.eu1.segmentapis.com",
        "write_keys": "for 2 accounts, and one for all others",
        "drip": "api.getdrip.com",
        "drip_accounts": "3",
    }


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"write_key": None}, "no write key: events are held"),
        ({"write_key": None, "write_keys": KEYS}, "for 2 accounts"),
        ({"write_key": "canary-0"}, "one for all accounts"),
    ],
)
def test_the_summary_says_who_has_a_write_key(
    settings: Settings, keys: dict[str, Any], words: str
) -> None:
    assert summary(replace(settings, **keys))["write_keys"] == words


def test_the_summary_says_whether_segment_to_drip_works(settings: Settings) -> None:
    on = replace(settings, segment_webhook_secrets=("a-secret-of-segment",))

    assert summary(settings)["drip"] == "off"
    assert summary(on)["drip_accounts"] == "no API token: calls are held"
