"""Work out whose a call is from what is remembered of ids and addresses. Pure.

Most calls from browsers name no address (docs/development/facts.md § 6). So the bridge remembers
the address of each user id, and of each anonymous id under which no second person appeared. It
learns them from identify and alias calls, in the order in which these came.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.segment_to_drip.people.keys import key_of, new_email_of

TAKES_DRIPS_ID = frozenset({"identify", "track", "order", "unsubscribe", "delete"})
"""Types of calls for which Drip finds the person by its own id as well. A campaign needs the
address."""

SHARED = "*"
"""The user id of an anonymous id under which several people appeared."""


class Identity(NamedTuple):
    """What is remembered of one id."""

    email: str | None = None
    user_id: str | None = None
    """Of an anonymous id: the user id that appeared under it, or `SHARED`. Of an address that was
    changed: the user id whose it was."""


class Found(NamedTuple):
    """Whose a call is: its address, or the id whose address it waits for."""

    email: str | None
    waits_for: str
    new_email: str | None = None
    """The address that the person is to have, if the call itself does not say so."""
    by_id: bool = False
    """Whether it need not wait, because `waits_for` is an id of Drip's own."""

    @property
    def person(self) -> str | None:
        """By what Drip is to find the person: the address, or the key of Drip's own id. None if the
        call has to wait."""
        return self.email or (self.waits_for if self.by_id else None)


class Move(NamedTuple):
    """A change of address."""

    old: str
    new: str
    user_id: str | None
    """The id of the user who has changed it, if the call named one."""

    def takes(self, key: str, identity: Identity) -> bool:
        """Whether an id that has the old address has the new one from now on. Another user who has
        the same address keeps it."""
        is_of_person = not key.startswith("u:") and identity.user_id in (None, self.user_id)
        return is_of_person and identity.email == self.old

    def order_of(self, key: str) -> str:
        """The key of the person in whose order a call is sent that was to be sent in that of `key`:
        what is still to be sent of the old address goes before what comes of the new one."""
        return f"e:{self.new}" if key == f"e:{self.old}" else key


class Memory:
    """The identities that some calls need, and what these calls change of them. Pure."""

    def __init__(self, known: Mapping[str, Identity]) -> None:
        self._known = dict(known)
        self.changed: dict[str, Identity] = {}
        """What was learnt."""
        self._learnt: dict[str, str] = {}
        self._moves: list[Move] = []
        self.deleted: set[str] = set()
        """The addresses of people who are to be deleted in Drip."""

    def take(self, call: Mapping[str, Any]) -> Found | None:
        """Learn from a call, and say whose it is. None if nothing of it is to be sent: an alias, or
        a delete of a person who is not known. One who is made later is not meant."""
        if call["type"] == "alias":
            self.move(call)
            return None
        whose = self.find(call)
        if call["type"] != "delete":
            return whose
        if whose.email and call["by"] == "delete":
            self._forget(whose.email)
        return whose if whose.person else None

    def find(self, call: Mapping[str, Any]) -> Found:
        """Whose the call is; also learns from it."""
        user, anonymous = key_of("u", call["user_id"]), key_of("a", call["anonymous_id"])
        if user and anonymous:
            self._note_user(anonymous, call["user_id"])
        named, new = self._named(call), None
        email = named and self._present(call, named)
        if named and email and call["type"] == "identify":
            email, present = self._change(call, named, email)
            self._learn(call, email, present)
            new = present if present != (new_email_of(call) or email) else None
        if call["type"] == "delete" and user:
            self._set(user, Identity())  # what comes later must not make the person anew
        drip = key_of("d", call.get("drip_id"))
        if not email and drip and call["type"] in TAKES_DRIPS_ID:
            return Found(None, drip, by_id=True)
        return Found(email, user or anonymous or drip, new)

    def move(self, call: Mapping[str, Any]) -> None:
        """Learn from an alias call that two ids are one person's. An address that one of them has
        is the other's too."""
        user = key_of("u", call["user_id"])
        for kind in "ua":
            previous = key_of(kind, call["previous_id"])
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

    def take_moves(self) -> list[Move]:
        """The changes of address since the last time that this was asked, in their order."""
        moves, self._moves = self._moves, []
        return moves

    def _named(self, call: Mapping[str, Any]) -> str | None:
        """The first address that the call names, or that is remembered for an id of it."""
        for kind, value in call["who"]:
            email = value.lower() if kind == "email" else self._get(key_of(kind[0], value)).email
            if email:
                return str(email)
        return None

    def _present(self, call: Mapping[str, Any], email: str) -> str:
        """The person's address today, if the call names one that was changed before: browsers
        resend all that they know of a person with each call, and some know the old address only."""
        was = self._get(key_of("e", email))
        if was.user_id and was.user_id == call["user_id"]:
            return self._get(key_of("u", was.user_id)).email or email
        return email if was.email is None or was.email != new_email_of(call) else was.email

    def _change(self, call: Mapping[str, Any], named: str, present: str) -> tuple[str, str]:
        """The address under which Drip has the person of an identify call, and the one that the
        person is to have."""
        if present != named:
            return present, present
        if new := new_email_of(call):
            return named, new
        known = self._get(key_of("u", call["user_id"])).email
        # what the browser gave to Drip itself changes nothing: nothing is sent of it
        changes = call.get("changes_address") and not call.get("is_taken")
        return (known, named) if known and changes else (named, named)

    def _learn(self, call: Mapping[str, Any], email: str, new: str) -> None:
        if new != email:
            self._follow(Move(email, new, call["user_id"]))
        user, anonymous = key_of("u", call["user_id"]), key_of("a", call["anonymous_id"])
        is_one_more = call.get("changes_address") is False
        if user and not (is_one_more and self._get(user).email):
            self._set(user, Identity(new))
        if drip := key_of("d", call.get("drip_id")):
            self._set(drip, Identity(new))
        before = self._get(anonymous)
        if not anonymous or (is_one_more and before.email):
            return
        if not user and before.user_id and before.email not in (None, new):
            self._set(anonymous, Identity(None, SHARED))  # another person at the same browser
        elif before.user_id != SHARED:
            self._set(anonymous, Identity(new, before.user_id))

    def _follow(self, move: Move) -> None:
        self._moves.append(move)
        for key in [key for key, identity in self._known.items() if move.takes(key, identity)]:
            self._set(key, self._known[key]._replace(email=move.new))
        self._set(key_of("e", move.old), Identity(move.new, move.user_id))

    def _note_user(self, anonymous: str, user_id: str) -> None:
        before = self._get(anonymous)
        if before.user_id is None:
            self._set(anonymous, before._replace(user_id=user_id))
        elif before.user_id not in (user_id, SHARED):
            self._set(anonymous, Identity(None, SHARED))

    def _forget(self, email: str) -> None:
        """Forget whose ids they were, so that what comes later under one of them does not make the
        person anew."""
        self.deleted.add(email)
        for key, identity in self._known.items():
            if identity.email == email:
                self._set(key, identity._replace(email=None))

    def _get(self, key: str) -> Identity:
        return self._known.get(key, Identity())

    def _set(self, key: str, identity: Identity) -> None:
        if self._known.get(key) != identity:
            self._known[key] = self.changed[key] = identity
            if identity.email and key[0] in "uad":
                self._learnt[key] = identity.email
