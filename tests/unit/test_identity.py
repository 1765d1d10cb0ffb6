"""Whose a call is: what is learnt from which calls, and who gets whose address."""

from typing import Any

from app.segment_to_drip.people.identity import Found, Memory, keys_of

ANA, BO = "ana@example.com", "bo@example.com"


def identify(
    email: str | None = None, user: str | None = None, anonymous: str | None = None, **once: str
) -> dict[str, Any]:
    sources = (("email", email), ("user", user), ("anonymous", None if user else anonymous))
    who = [[kind, value] for kind, value in sources if value]
    ids = {"user_id": user, "anonymous_id": anonymous}
    return {"type": "identify", "who": who, **ids, "once": once}


def track(user: str | None = None, anonymous: str | None = None, **more: Any) -> dict[str, Any]:
    return {**identify(None, user, anonymous), "type": "track", **more}


def alias(previous: str, user: str) -> dict[str, Any]:
    return {"type": "alias", "previous_id": previous, "user_id": user}


def whose(memory: Memory, call: dict[str, Any]) -> str | None:
    return memory.find(call).email


def test_a_user_id_has_the_address_of_its_identify() -> None:
    memory = Memory({})
    assert memory.find(track("u1")) == Found(None, "u:u1")
    assert whose(memory, identify(ANA, "u1")) == ANA
    assert whose(memory, track("u1")) == ANA
    assert whose(memory, track("u2")) is None


def test_addresses_are_compared_in_small_letters() -> None:
    memory = Memory({})
    assert whose(memory, identify("Ana@Example.com", "u1")) == ANA


def test_a_browser_of_one_person_has_that_persons_address() -> None:
    memory = Memory({})
    assert whose(memory, identify(ANA, "u1", "browser")) == ANA
    assert whose(memory, track(anonymous="browser")) == ANA


def test_a_shared_browser_has_nobodys_address_for_good() -> None:
    memory = Memory({})
    whose(memory, identify(ANA, "u1", "browser"))
    whose(memory, track("u2", "browser"))
    assert whose(memory, track(anonymous="browser")) is None
    whose(memory, identify(ANA, "u1", "browser"))
    assert whose(memory, track(anonymous="browser")) is None
    assert whose(memory, track("u1", "browser")) == ANA


def test_another_address_without_a_user_id_is_somebody_else_at_the_browser() -> None:
    memory = Memory({})
    whose(memory, identify(ANA, "u1", "browser"))
    whose(memory, identify(BO, None, "browser"))
    assert whose(memory, track(anonymous="browser")) is None


def test_a_track_call_teaches_nothing_but_who_uses_a_browser() -> None:
    memory = Memory({})
    call = track("u1", who=[["email", ANA]])
    assert whose(memory, call) == ANA
    assert whose(memory, track("u1")) is None


def test_an_alias_moves_an_address_either_way() -> None:
    memory = Memory({})
    whose(memory, identify(ANA, None, "browser"))
    memory.move(alias("browser", "u1"))
    assert whose(memory, track("u1")) == ANA
    whose(memory, identify(BO, "u2"))
    memory.move(alias("visitor", "u2"))
    assert whose(memory, track(anonymous="visitor")) == BO
    memory.move(alias("u2", "u3"))
    assert whose(memory, track("u3")) == BO


def test_a_change_of_address_is_followed_and_not_made_twice() -> None:
    memory = Memory({})
    change = identify(ANA, "u1", new_email=BO)
    assert whose(memory, change) == ANA
    assert whose(memory, track("u1")) == BO
    # analytics.js sends both again with each identify
    assert whose(memory, change) == BO
    # somebody else may have the old address now
    assert whose(memory, identify(ANA, "u9")) == ANA


def test_ids_of_any_length_and_letters_have_a_key() -> None:
    memory = Memory({})
    for user in ("u" * 5_000, "a\0b", "\ud800"):
        assert whose(memory, identify(ANA, user)) == ANA
        assert whose(memory, track(user)) == ANA
        assert all(len(key) < 300 and key.isprintable() for key in keys_of(track(user)))
    assert whose(memory, track("u" * 5_001)) is None


def test_only_what_changed_is_to_be_kept() -> None:
    memory = Memory({})
    memory.find(identify(ANA, "u1"))
    again = Memory(memory.changed)
    again.find(identify(ANA, "u1"))
    assert again.changed == {}


def test_an_address_that_is_learnt_is_told_once() -> None:
    memory = Memory({})
    memory.find(identify(ANA, "u1", "browser"))
    assert memory.take_learnt() == {"u:u1": ANA, "a:browser": ANA}
    memory.find(identify(ANA, "u1", "browser"))
    memory.find(track("u2", "browser"))
    assert memory.take_learnt() == {}
    memory.move(alias("u1", "u3"))
    # the previous id may be of either kind
    assert memory.take_learnt() == {"u:u3": ANA, "a:u1": ANA}
