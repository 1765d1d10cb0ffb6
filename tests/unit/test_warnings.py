"""What an operator is warned of at start."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.config.settings import Settings
from app.config.warnings import startup_warnings
from tests.support.bridge_process import TOKEN


def test_no_warning_comes_without_a_reason(settings: Settings) -> None:
    assert list(startup_warnings(settings)) == []


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
