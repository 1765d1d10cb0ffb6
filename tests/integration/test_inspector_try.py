"""`/try`: what Drip would get of a call, without keeping or sending anything."""

import json
from html import unescape
from pathlib import Path

import pytest

from app.config.settings import Settings
from app.segment_to_drip.mapping.mappings import text_of as text_of_mappings
from tests.support.inspector_app import Visitor, create_inspected, text_of

CALL = {"type": "identify", "userId": "7", "traits": {"email": "ana@example.com", "tags": ["a"]}}


@pytest.fixture
def visitor(settings: Settings) -> Visitor:
    return Visitor(create_inspected(settings, drip_account_id="4417"))


def tried(visitor: Visitor, call: object, mapping: str = "bridge") -> str:
    text = call if isinstance(call, str) else json.dumps(call)
    answer = visitor.submit("/try", call=text, mapping=mapping)
    assert answer.status_code == 200
    return unescape(text_of(answer.text))


def test_it_says_what_drip_would_get_and_by_which_mapping(visitor: Visitor) -> None:
    page = tried(visitor, CALL)

    assert "POST /v2/4417/subscribers" in page
    assert '"email": "ana@example.com"' in page
    assert "Mapping “People”: identify" in page
    assert "Not for: Events." in page


def test_nothing_is_kept(visitor: Visitor) -> None:
    tried(visitor, CALL)

    assert "Nothing has come yet" in text_of(visitor.get("/setup"))


def test_another_preset_can_be_tried(visitor: Visitor) -> None:
    assert '"id": "7"' in tried(visitor, CALL, "classic")
    assert '"id": "7"' not in tried(visitor, CALL, "actions")


def test_a_preset_that_is_none_is_the_one_in_use(visitor: Visitor) -> None:
    assert "Mapping “People”: identify" in tried(visitor, CALL, "/etc/passwd")


def test_what_is_not_sent_is_named_with_its_reason(visitor: Visitor) -> None:
    call = {**CALL, "traits": {"email": "ana@example.com", "prospect": "perhaps"}}

    assert "traits.prospect Neither true nor false." in tried(visitor, call)


def test_a_call_that_goes_nowhere_is_explained(visitor: Visitor) -> None:
    assert "Reason: page." in tried(visitor, {"type": "page", "userId": "7"})
    assert "the bridge would reject the call" in tried(visitor, {"type": "identify"})
    assert "the bridge would reject the call" in tried(visitor, "no JSON <b>")
    assert "It waits until" in tried(visitor, {"type": "identify", "userId": "7"})
    assert "the bridge learns which" in tried(
        visitor, {"type": "alias", "userId": "7", "previousId": "8"}
    )


def test_a_call_that_is_too_long_is_refused(visitor: Visitor) -> None:
    assert "Longer than 40,000 characters" in tried(visitor, "x" * 40_001)


def test_a_call_as_large_as_segments_are_can_be_tried(visitor: Visitor) -> None:
    call = json.dumps({**CALL, "traits": {"email": "ana@example.com", "list": ["[]"] * 6_000}})
    assert 32_000 < len(call) < 40_000
    assert "POST /v2/4417/subscribers" in tried(visitor, call)


def test_a_file_counts_as_it_was_at_the_start(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "my.json"
    file.write_text(text_of_mappings("actions"))
    changes = {"drip_mapping": str(file), "segment_webhook_secrets": ("a-secret-of-my-own-1",)}
    visitor = Visitor(create_inspected(settings, drip_account_id="4417", **changes))
    file.unlink()

    assert "Mapping “Identify”: identify" in tried(visitor, CALL, str(file))


def test_a_file_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.json")
    visitor = Visitor(create_inspected(settings, drip_mapping=gone))

    assert f"cannot read {gone}" in tried(visitor, CALL, gone)


def test_a_request_without_a_body_shows_none(settings: Settings) -> None:
    visitor = Visitor(create_inspected(settings, drip_account_id="4417", drip_delete="delete"))
    page = tried(visitor, {"type": "delete", "userId": "ana@example.com"})

    assert "DELETE /v2/4417/subscribers/ana%40example.com" in page
    assert "null" not in page
