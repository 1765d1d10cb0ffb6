"""Work out the requests for calls without sending any, as if nothing had been sent before. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.outbox.messages import Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identity import Memory
from app.segment_to_drip.sending.answers import new_email_of
from app.segment_to_drip.sending.operations import (
    Person,
    Request,
    next_operation,
    remember,
    to_request,
)


class Waiting(NamedTuple):
    """A call whose person's address is not known yet."""

    number: int
    """Its place in the run."""
    place: str
    """Where its message was found."""
    message: Message
    call: Mapping[str, Any]


class DryRun:
    """A run over calls in their order: people and addresses of earlier calls are remembered."""

    def __init__(self, account: str, options: DripOptions) -> None:
        self._account = account
        self._options = options
        self._memory = Memory({})
        self._people: dict[str, Person] = {}
        self._taken = 0
        self._waiting: dict[str, list[Waiting]] = {}
        """The id whose address is waited for → the calls, in their order."""

    @property
    def waiting(self) -> list[Waiting]:
        """What waits for an address, in its order: each message once."""
        by_number = {each.number: each for of_id in self._waiting.values() for each in of_id}
        return [by_number[number] for number in sorted(by_number)]

    def take(self, message: Message, place: str = "") -> list[Request]:
        """The requests for a message and what goes with it, in their order. Before them come
        those for earlier calls whose address it brings. `place` is where it was found."""
        found = []
        self._taken += 1
        for each in message.together:
            call = json.loads(each.payload or "{}")
            whose = self._memory.take(call)
            if whose is None:
                continue
            if whose.new_email:
                call |= {"new_email": whose.new_email}
            if whose.person:
                found.append((whose.person, call))
            else:
                waiting = Waiting(self._taken, place, message, call)
                self._waiting.setdefault(whose.waits_for, []).append(waiting)
        return [
            request
            for name, call in [*self._released(), *found]
            for request in self._requests_for(name, call)
        ]

    def _released(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The calls that waited for an address that was just learnt."""
        released = [
            (email, each)
            for key, email in self._memory.take_learnt().items()
            for each in self._waiting.pop(key, ())
        ]
        released.sort(key=lambda pair: pair[1].number)
        return [(email, each.call) for email, each in released]

    def _requests_for(self, name: str, call: Mapping[str, Any]) -> Iterator[Request]:
        person = self._people.get(name, Person())
        while operation := next_operation(call, name, person, self._options):
            yield to_request([operation], self._account)
            self._people[name] = person = remember(person, operation)
            if new_email := new_email_of(operation, ""):
                self._people[new_email] = self._people.pop(name)
            if not operation.introduces:
                break


def requests_of(message: Message, account: str, options: DripOptions) -> list[Request]:
    """The requests for one message. None for a call that names no address."""
    return DryRun(account, options).take(message)
