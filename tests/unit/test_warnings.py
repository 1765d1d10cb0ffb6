"""What an operator is warned of at start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from app.config import warnings
from app.config.settings import Settings
from app.config.warnings import startup_warnings
from tests.support.bridge_process import TOKEN


def test_no_warning_comes_without_a_reason(settings: Settings) -> None:
    assert list(startup_warnings(settings)) == []


SECRETS = (TOKEN,)
OWN_ACCOUNT: dict[str, Any] = {"drip_account_id": "4417", "drip_api_token": "canary-1"}


@pytest.mark.parametrize("part", [*OWN_ACCOUNT, None])
def test_a_secret_of_segment_without_an_account_of_drip_is_pointed_out(
    settings: Settings, part: str | None
) -> None:
    given: dict[str, Any] = {part: OWN_ACCOUNT[part]} if part else {}
    half = replace(settings, segment_webhook_secrets=SECRETS, **given)

    (sentence,) = startup_warnings(half)
    assert "held until DRIP_ACCOUNT_ID and DRIP_API_TOKEN, or DRIP_API_TOKENS" in sentence
    assert TOKEN not in sentence


def test_a_write_key_without_an_account_of_drip_is_pointed_out(settings: Settings) -> None:
    (sentence,) = startup_warnings(replace(settings, tracking_write_keys={TOKEN: ""}))
    assert sentence.startswith("TRACKING_WRITE_KEYS is set, but no account of Drip")
    assert TOKEN not in sentence


def test_a_write_key_turns_the_accounts_on(settings: Settings) -> None:
    accounts = {"4417": "canary-2"}
    on = replace(settings, tracking_write_keys={TOKEN: "4417"}, drip_api_tokens=accounts)
    assert list(startup_warnings(on)) == []


@pytest.mark.parametrize("given", [OWN_ACCOUNT, {"drip_api_tokens": {"4417": "canary-2"}}])
def test_a_secret_of_segment_with_an_account_is_fine(
    settings: Settings, given: dict[str, Any]
) -> None:
    both = replace(settings, segment_webhook_secrets=SECRETS, **given)
    assert list(startup_warnings(both)) == []


def test_an_account_alone_is_fine_as_the_commands_use_it(settings: Settings) -> None:
    assert list(startup_warnings(replace(settings, **OWN_ACCOUNT))) == []


def test_accounts_for_nothing_are_pointed_out(settings: Settings) -> None:
    (sentence,) = startup_warnings(replace(settings, drip_api_tokens={"4417": "canary-2"}))
    assert sentence.startswith("DRIP_API_TOKENS has no effect without SEGMENT_WEBHOOK_SECRET")
    assert "canary" not in sentence


@pytest.mark.parametrize("letter", ["+", "&", "#", "%", " ", "é"])
def test_a_token_that_a_url_would_change_is_pointed_out(settings: Settings, letter: str) -> None:
    tokens = (TOKEN, f"sixteen{letter}letters!")

    (sentence,) = startup_warnings(replace(settings, webhook_tokens=tokens))
    assert sentence.startswith("DRIP_WEBHOOK_TOKEN has a letter that means something else in a URL")
    assert "letters!" not in sentence


@pytest.mark.parametrize("token", ["kT9-_.~0123456789", "aGVsbG8/d29ybGQ=aGVsbG8="])
def test_a_token_that_a_url_keeps_is_fine(settings: Settings, token: str) -> None:
    assert list(startup_warnings(replace(settings, webhook_tokens=(token,)))) == []


def test_a_file_beside_the_code_that_is_not_read_is_pointed_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / ".env").touch()
    monkeypatch.setattr("app.config.warnings.CODE", tmp_path / "code")

    assert [
        f"{tmp_path}/code/.env is not read" in sentence for sentence in startup_warnings(settings)
    ] == [True]
    monkeypatch.chdir(tmp_path / "code")
    assert list(startup_warnings(settings)) == []


def test_loads_into_nowhere_are_pointed_out(settings: Settings) -> None:
    assert list(startup_warnings(replace(settings, warehouse_every=600))) == [
        "WAREHOUSE_EVERY has no effect without WAREHOUSE_URL."
    ]


def test_a_warehouse_without_its_package_is_pointed_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = replace(settings, warehouse_url=make_url("duckdb:///warehouse.duckdb"))
    assert list(startup_warnings(loaded)) == []
    monkeypatch.setattr(warnings, "find_spec", lambda _: None)
    (sentence,) = startup_warnings(loaded)
    assert sentence.endswith("is not installed: pip install '.[warehouse]'")
