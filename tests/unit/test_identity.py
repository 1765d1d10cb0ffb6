"""Whose a call is: what is learnt from which calls, and who gets whose address."""

from typing import Any

from app.segment_to_drip.people.identity import Found, Memory, Move
from app.segment_to_drip.people.keys import keys_of

ANA, BO = "ana@example.com", "bo@example.com"

MAY_CHANGE = {"changes_address": True}


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


def test_after_another_change_the_first_is_not_made_again() -> None:
    memory = Memory({})
    first = identify(ANA, "u1", new_email=BO)
    assert [whose(memory, call) for call in (first, identify(BO, "u1", new_email="c@x.org"))] == [
        ANA,
        BO,
    ]
    assert memory.find(first) == Found("c@x.org", "u:u1", "c@x.org")
    assert whose(memory, track("u1")) == "c@x.org"
    # somebody may want the first address back
    assert whose(memory, identify("c@x.org", "u1", new_email=ANA)) == "c@x.org"
    assert whose(memory, identify(ANA, "u1")) == ANA


def test_a_user_with_another_address_has_a_new_one_if_calls_may_say_so() -> None:
    memory = Memory({})
    assert memory.find(identify(ANA, "u1") | MAY_CHANGE) == Found(ANA, "u:u1")
    assert memory.find(identify(BO, "u1") | MAY_CHANGE) == Found(ANA, "u:u1", BO)
    assert memory.take_moves() == [Move(ANA, BO, "u1")]
    for again in (identify(BO, "u1"), identify(ANA, "u1")):
        assert memory.find(again | MAY_CHANGE) == Found(BO, "u:u1")
    assert whose(memory, track("u1", who=[["email", ANA]])) == BO
    assert memory.take_moves() == []
    # nothing is sent of what Drip has from the browser, so that changes nothing
    taken = identify("b@x.org", "u1") | MAY_CHANGE | {"is_taken": True}
    assert memory.find(taken) == Found("b@x.org", "u:u1")
    # without a word on it, another address is another person's
    assert whose(memory, identify("c@x.org", "u1")) == "c@x.org"


def test_one_more_address_of_a_profile_is_not_remembered_for_the_user() -> None:
    memory = Memory({})
    one_more = {"changes_address": False}
    assert whose(memory, identify(ANA, "u1") | one_more) == ANA
    assert whose(memory, identify(BO, "u1") | one_more) == BO
    assert whose(memory, track("u1")) == ANA
    # the user's own call counts over it
    whose(memory, identify(BO, "u1"))
    whose(memory, identify(ANA, "u1") | one_more)
    assert whose(memory, track("u1")) == BO


def test_one_more_address_of_a_profile_makes_no_browser_a_shared_one() -> None:
    memory = Memory({})
    whose(memory, identify(ANA, "u1", "browser"))
    whose(memory, identify(BO, None, "browser") | {"changes_address": False})
    assert whose(memory, track(anonymous="browser")) == ANA


def test_a_person_without_an_address_goes_by_drips_own_id() -> None:
    memory = Memory({})
    drip: dict[str, Any] = {"who": [["user", "u1"], ["drip", "d1"]], "drip_id": "d1"}
    assert memory.find(track("u1", **drip)) == Found(None, "d:d1", by_id=True)
    assert memory.find(track("u1", **drip)).person == "d:d1"
    campaign = {**track("u1", **drip), "type": "campaign"}
    assert memory.find(campaign) == Found(None, "u:u1")
    memory.find(identify(ANA, "u2") | {"drip_id": "d1"})
    assert memory.take_learnt() == {"u:u2": ANA, "d:d1": ANA}
    assert memory.find(track("u1", **drip)).person == ANA


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
