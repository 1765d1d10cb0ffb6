"""The commands `mapping show`, `fields` and `check`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app.config.settings import Settings
from app.segment_to_drip.mapping.mappings import PRESETS
from tests.support.flask_app import app_over, run

CALL = {"type": "identify", "userId": "7", "traits": {"email": "ana@example.com", "prospect": "x"}}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    with app_over(replace(settings, drip_account_id="4417", drip_mapping="classic")) as app:
        yield app


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_as_a_file(app: Flask, tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(run(app, "mapping", "show", name).stdout)
    assert "can be used as DRIP_MAPPING" in run(app, "mapping", "check", str(path)).stdout


def test_without_a_name_those_in_use_are_shown(app: Flask) -> None:
    assert run(app, "mapping", "show").stdout == run(app, "mapping", "show", "classic").stdout


def test_events_are_tried_and_nothing_is_kept(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (CALL, {"type": "page", "userId": "7"})))
    result = run(app, "mapping", "check", "bridge", str(path))
    assert result.exit_code == 0
    assert f"{path}:1\n  People: identify\n" in result.stdout
    assert "POST /v2/4417/subscribers" in result.stdout
    assert "traits.prospect: Neither true nor false." in result.stdout
    assert f"{path}:2\n  Ignored: page.\n" in result.stdout
    assert run(app, "events").stdout.count("ana@example.com") == 0


def test_an_event_for_quarantine_ends_it_with_1(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_text('{"type": "dance"}')
    result = run(app, "mapping", "check", "bridge", str(path))
    assert result.exit_code == 1
    assert "To quarantine. type: Not a type of Segment's calls." in result.stdout


def test_a_faulty_file_is_one_message(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"mappings": []}')
    for command in ("show", "check"):
        result = run(app, "mapping", command, str(path))
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: DRIP_MAPPING: {path} cannot be used:\n  mappings:")


def test_what_makes_no_request_or_has_no_body_is_said(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    leaves = {"type": "delete", "userId": "ana@example.com"}
    alias = {"type": "alias", "userId": "7", "previousId": "8"}
    path.write_text("\n".join(map(json.dumps, (leaves, alias))))
    with app_over(replace(settings, drip_delete="delete")) as app:
        said = run(app, "mapping", "check", "bridge", str(path)).stdout
    assert "DELETE /v2/ACCOUNT/subscribers/ana%40example.com\n\n" in said
    assert "  Nothing: of an alias" in said


def test_a_file_of_events_that_is_not_there_is_named(app: Flask) -> None:
    result = run(app, "mapping", "check", "bridge", "none.jsonl")
    assert "'none.jsonl' does not exist" in result.stderr
    assert isinstance(result.exception, SystemExit)
