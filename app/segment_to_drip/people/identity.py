"""Work out whose a call is from what is remembered of ids and addresses. Pure.

Most calls from browsers name no address (docs/development/facts.md § 6). So the bridge remembers
the address of each user id, and of each anonymous id under which no second person appeared. It
learns them from identify and alias calls, in the order in which these came.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

LONGEST_ID = 200
"""Characters. A longer id is remembered by its hash: indexes take no text of any length."""

SHARED = "*"
"""The user id of an anonymous id under which several people appeared."""


class Identity(NamedTuple):
    """What is remembered of one id."""

    email: str | None = None
    user_id: str | None = None
    """Of an anonymous id: the user id that appeared under it, or `SHARED`."""


class Found(NamedTuple):
    """Whose a call is: its address, or the id whose address it waits for."""

    email: str | None
    waits_for: str


class Memory:
    """The identities that some calls need, and what these calls change of them. Pure."""

    def __init__(self, known: Mapping[str, Identity]) -> None:
        self._known = dict(known)
        self.changed: dict[str, Identity] = {}
        """What was learnt."""
        self._learnt: dict[str, str] = {}

    def take(self, call: Mapping[str, Any]) -> Found | None:
        """Learn from a call, and say whose it is. None if nothing of it is to be sent: an alias, or
        a delete of a person who is not known. One who is made later is not meant."""
        if call["type"] == "alias":
            self.move(call)
            return None
        whose = self.find(call)
        return None if call["type"] == "delete" and not whose.email else whose

    def find(self, call: Mapping[str, Any]) -> Found:
        """Whose the call is; also learns from it."""
        user, anonymous = _key("u", call["user_id"]), _key("a", call["anonymous_id"])
        if user and anonymous:
            self._note_user(anonymous, call["user_id"])
        email = self._address(call)
        if call["type"] == "identify" and email:
            self._learn(call, email)
        if call["type"] == "delete" and user:
            self._set(user, Identity())  # what comes later must not make the person anew
        return Found(email, user or anonymous or "")

    def move(self, call: Mapping[str, Any]) -> None:
        """Learn from an alias call that two ids are one person's. An address that one of them has
        is the other's too."""
        user = _key("u", call["user_id"])
        for kind in "ua":
            previous = _key(kind, call["previous_id"])
            if not (user and previous):
                continue
            if email := self._get(previous).email:
                self._set(user, Identity(email))
            elif (email := self._get(user).email) and self._get(previous).user_id != SHARED:
                self._set(previous, Identity(email, call["user_id"] if kind == "a" else None))

    def take_learnt(self) -> dict[str, str]:
        """The addresses of ids that were learnt since the last time that this was asked. What waits
        for one of them has to be looked for at once: the id may become another person's too."""
        learnt, self._learnt = self._learnt, {}
        return learnt

    def _address(self, call: Mapping[str, Any]) -> str | None:
        for kind, value in call["who"]:
            email = value.lower() if kind == "email" else self._get(_key(kind[0], value)).email
            if email:
                return self._moved_to(email, call)
        return None

    def _moved_to(self, email: str, call: Mapping[str, Any]) -> str:
        """The new address, if the call repeats a change of address that was made before: browsers
        resend all that they know of a person with each call."""
        new = _new_email(call)
        moved = self._get(_key("e", email)).email
        return new if new and moved == new else email

    def _learn(self, call: Mapping[str, Any], email: str) -> None:
        new = _new_email(call)
        if new and new != email:
            self._set(_key("e", email), Identity(new))
            email = new
        if user := _key("u", call["user_id"]):
            self._set(user, Identity(email))
        anonymous = _key("a", call["anonymous_id"])
        if not anonymous:
            return
        before = self._get(anonymous)
        if not user and before.user_id and before.email not in (None, email):
            self._set(anonymous, Identity(None, SHARED))  # another person at the same browser
        elif before.user_id != SHARED:
            self._set(anonymous, Identity(email, before.user_id))

    def _note_user(self, anonymous: str, user_id: str) -> None:
        before = self._get(anonymous)
        if before.user_id is None:
            self._set(anonymous, before._replace(user_id=user_id))
        elif before.user_id not in (user_id, SHARED):
            self._set(anonymous, Identity(None, SHARED))

    def _get(self, key: str) -> Identity:
        return self._known.get(key, Identity())

    def _set(self, key: str, identity: Identity) -> None:
        if self._known.get(key) != identity:
            self._known[key] = self.changed[key] = identity
            if identity.email and key[0] in "ua":
                self._learnt[key] = identity.email


def _new_email(call: Mapping[str, Any]) -> str | None:
    once = call.get("once", call)  # a campaign call has it by itself
    new = once.get("new_email")
    return new.lower() if new else None


def _key(kind: str, value: str | None) -> str:
    """The key of an id, as the tables have it; "" without an id."""
    if not value:
        return ""
    if len(value) > LONGEST_ID or not value.isprintable():
        value = sha256(value.encode(errors="surrogatepass")).hexdigest()
    return f"{kind}:{value}"


def keys_of(call: Mapping[str, Any]) -> set[str]:
    """The keys of all that `Memory` may ask for because of a call."""
    if call["type"] == "alias":
        previous = call["previous_id"]
        return {_key("u", call["user_id"]), _key("u", previous), _key("a", previous)}
    keys = {_key("u", call["user_id"]), _key("a", call["anonymous_id"])}
    if _new_email(call):
        keys |= {_key("e", value.lower()) for kind, value in call["who"] if kind == "email"}
    return keys
