"""A mapping file of one's own: which person gets what of a call, and what goes to quarantine."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.mapping.mappings import compile_mappings, load
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identity import Memory
from app.segment_to_drip.sending.trial import try_event
from app.segment_to_drip.translate import translate

ANA, BO = "ana@example.com", "bo@example.com"
PATH_OF_EMAIL = {"@path": "$.properties.email"}


def mapped(action: str, trigger: str = 'type = "track"', /, **fields: Any) -> dict[str, Any]:
    return {"name": action, "trigger": trigger, "action": action, "fields": fields}


def one(changed: str) -> str:
    """A file with one mapping, in which this is different: of several keys the last one counts."""
    mapping = json.dumps(mapped("trackEvent", action="Did"))
    return f'{{"mappings": [{mapping[:-1]}, {changed}}}]}}'


def options_with(*mappings: dict[str, Any], **changes: Any) -> DripOptions:
    return DripOptions(mappings=compile_mappings("my.json", {"mappings": mappings}), **changes)


def translated(call: dict[str, Any], options: DripOptions) -> Message | Ignored:
    return translate(json.dumps({"userId": "u1", **call}).encode(), 1.7e9, "", options)


def kept(call: dict[str, Any], options: DripOptions) -> list[dict[str, Any]]:
    """What is kept of a call, and of what follows from it."""
    message = translated(call, options)
    assert isinstance(message, Message), message
    assert message.payload, message.errors
    return [json.loads(each.payload or "") for each in (message, *message.follow_ups)]


def errors_of(call: dict[str, Any], options: DripOptions) -> dict[str, Any]:
    message = translated(call, options)
    assert isinstance(message, Message)
    return dict(message.errors)


def track(address: str | None = ANA, /, **properties: Any) -> dict[str, Any]:
    """A call whose context has this address."""
    call = {"type": "track", "event": "Did", "properties": properties}
    return {**call, "context": {"traits": {"email": address} if address else {}}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"mappings": NaN}', "NaN is not a JSON value"),
        (f'{{"mappings": {"1" * 5000}}}', "Exceeds the limit"),
        (one('"name": "a\\nb"'), "mappings.0.name: Has to be letters"),
        (one('"name": "\\ud800"'), "mappings.0.name: Has to be letters"),
        (one('"fields": {}'), "mappings.0.fields.action: trackEvent needs it."),
        (one(f'"trigger": "{"(" * 9000}"'), "nested too deeply"),
        (one('"fields": {"action": ' + '{"a":' * 2000 + "1" + "}" * 2001), "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "my.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(str(file))
    assert reason in str(refused.value)
    assert "my.json" in str(refused.value)


@pytest.mark.parametrize("field", ["keep_email", "value_from_revenue"])
def test_a_flag_that_is_text_is_noted(field: str) -> None:
    options = options_with(mapped("trackEvent", **{"action": "Did", field: "true"}))
    (part,) = kept(track(email=ANA, revenue=3), options)
    assert part["left_out"] == {f"fields.{field}": "Neither true nor false."}
    options = options_with(mapped("identify", custom_fields_as_text="true"))
    assert "fields.custom_fields_as_text" in kept(track(), options)[0]["left_out"]


@pytest.mark.parametrize("status", [[], {}, 1, "Placed"])
def test_a_status_of_an_order_that_is_none_is_noted(status: Any) -> None:
    options = options_with(mapped("order", status=status))
    (part,) = kept(track(order_id="5"), options)
    assert part["type"] == "track"
    assert "fields.status" in part["left_out"]


@pytest.mark.parametrize("campaign", [{}, {"campaign": None}, {"campaign": "a b"}])
def test_without_the_id_of_the_mapped_campaign_not_all_mail_ends(campaign: dict[str, Any]) -> None:
    options = options_with(mapped("unsubscribe", campaign_id={"@path": "$.properties.campaign"}))
    assert errors_of(track(**campaign), options) == {"fields.campaign_id": ["Not a campaign's id."]}
    (part,) = kept(track(campaign="77"), options)
    assert (part["type"], part["campaign_id"]) == ("unsubscribe", "77")


@pytest.mark.parametrize("email", [{}, {"email": "bo at example"}])
def test_without_the_mapped_address_nobody_else_is_unsubscribed(email: dict[str, Any]) -> None:
    options = options_with(mapped("unsubscribe", email=PATH_OF_EMAIL))
    assert errors_of(track(**email), options) == {"fields.email": ["Not an address."]}
    (part,) = kept(track(email=BO), options)
    assert part["who"] == [["email", BO]]


def test_a_mapped_campaign_that_an_event_does_not_name_is_not_the_one_of_the_settings() -> None:
    joins = mapped("subscribeToCampaign", campaign_id={"@path": "$.properties.campaign"})
    options = options_with(joins, campaign_id="88")
    assert translated(track(), options) == Ignored("track", "no mapping")
    (part,) = kept(track(campaign="77"), options)
    assert part["campaign_id"] == "77"
    (part,) = kept(track(), options_with(mapped("subscribeToCampaign"), campaign_id="88"))
    assert part["campaign_id"] == "88"


def test_the_address_of_a_group_is_nobodys() -> None:
    options = options_with(mapped("identify", 'type = "group"', custom_fields={"a": 1}))
    group = {"type": "group", "traits": {"email": "office@example.com"}}
    (part,) = kept(group, options)
    assert part["who"] == [["user", "u1"]]
    (part,) = kept({**group, "context": {"traits": {"email": ANA}}}, options)
    assert part["who"] == [["email", ANA]]


def test_a_mapped_address_that_may_be_anothers_teaches_nothing_of_the_ids() -> None:
    options = options_with(mapped("identify", email=PATH_OF_EMAIL, tags="invited"))
    (part,) = kept(track(None, email=BO), options)
    assert "user_id" not in part["subscriber"]
    memory = Memory({})
    assert memory.find(part).email == BO
    assert memory.find({"type": "track", "who": [["user", "u1"]], **IDS}).email is None


IDS = {"user_id": "u1", "anonymous_id": None}


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        (track(email=ANA.upper()), {}),
        (track(None, email=ANA), {"track_email": "properties"}),
        ({**track(None, email=ANA), "userId": ANA}, {}),
        ({"type": "identify", "traits": {"email": BO}, "properties": {"email": ANA}}, {}),
    ],
    ids=["context", "setting", "userId", "identify"],
)
def test_a_mapped_address_that_is_the_calls_own_has_its_user_id(
    call: dict[str, Any], changes: dict[str, Any]
) -> None:
    options = options_with(mapped("identify", "userId != null", email=PATH_OF_EMAIL), **changes)
    (part,) = kept(call, options)
    assert part["subscriber"]["user_id"] == part["user_id"] == call.get("userId", "u1")


def test_what_follows_a_change_of_address_is_for_the_new_one() -> None:
    new = mapped("identify", new_email=PATH_OF_EMAIL)
    event = mapped("trackEvent", action={"@path": "$.event"})
    first, second = kept(track(email=BO), options_with(new, event))
    memory = Memory({})
    assert memory.find(first).email == ANA
    assert memory.find(second).email == BO


def test_a_consent_that_is_taken_back_can_unsubscribe() -> None:
    leaves = mapped("unsubscribe", "context.consent.categoryPreferences.Marketing = false")
    event = mapped("trackEvent", action={"@path": "$.event"})
    options = options_with(event, leaves, consent_categories=("Marketing",))
    call = track()
    call["context"]["consent"] = {"categoryPreferences": {"Marketing": False}}
    assert [part["type"] for part in kept(call, options)] == ["unsubscribe"]
    assert translated(track(), options) == Ignored("track", "consent")


def test_what_the_browser_has_sent_can_unsubscribe_all_the_same() -> None:
    event = mapped("trackEvent", action="Did")
    makes = mapped("identify", tags="left")
    call = track()
    call["context"]["drip_device"] = True
    options = options_with(event, makes, mapped("unsubscribe"))
    assert [part["type"] for part in kept(call, options)] == ["unsubscribe"]
    assert translated(call, options_with(event, makes)) == Ignored("track", "device mode")


def test_an_event_is_tried_as_it_is_translated() -> None:
    options = options_with(mapped("trackEvent", action={"@path": "$.event"}))
    call = {**track(), "type": " Track "}
    trial = try_event(json.dumps(call).encode(), 1.7e9, "88", options)
    assert [each.name for each in trial.applied] == ["trackEvent"]
    assert trial.others == []
    assert trial.requests
