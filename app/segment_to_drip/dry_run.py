"""Work out the requests for calls without sending any, as if nothing had been sent before. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.outbox.messages import Message
from app.segment_to_drip.identity import Memory
from app.segment_to_drip.operations import Person, Request, next_operation, remember, to_request
from app.segment_to_drip.options import DripOptions


class DryRun:
    """A run over calls in their order: people and addresses of earlier calls are remembered."""

    def __init__(self, account: str, options: DripOptions) -> None:
        self._account = account
        self._options = options
        self._memory = Memory({})
        self._people: dict[str, Person] = {}
        self._waiting: list[tuple[str, str, Mapping[str, Any]]] = []
        """Place, what it waits for, and the call."""

    @property
    def waiting(self) -> list[str]:
        """The places of the calls whose address is not known, each once."""
        return list(dict.fromkeys(place for place, _, _ in self._waiting))

    def take(self, message: Message, place: str = "") -> list[Request]:
        """The requests for a message and what follows from it, in their order. Before them come
        those for earlier calls whose address it brings."""
        found = []
        for each in (message, *message.follow_ups):
            call = json.loads(each.payload or "{}")
            if call["type"] == "alias":
                self._memory.move(call)
                continue
            email, waits_for = self._memory.find(call)
            if email:
                found.append((email, call))
            else:
                self._waiting.append((place, waits_for, call))
        return [
            request
            for email, call in [*self._released(), *found]
            for request in self._requests_for(email, call)
        ]

    def _released(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The calls that waited, and whose address is known by now."""
        released = []
        still = []
        for place, waits_for, call in self._waiting:
            if email := self._memory.email_of(waits_for):
                released.append((email, call))
            else:
                still.append((place, waits_for, call))
        self._waiting = still
        return released

    def _requests_for(self, email: str, call: Mapping[str, Any]) -> Iterator[Request]:
        person = self._people.get(email, Person())
        while operation := next_operation(call, email, person, self._options):
            yield to_request([operation], self._account)
            self._people[email] = person = remember(person, operation)
            if not operation.introduces:
                break


def requests_of(message: Message, account: str, options: DripOptions) -> list[Request]:
    """The requests for one message. None for a call that names no address."""
    return DryRun(account, options).take(message)


def address_of(message: Message) -> str | None:
    """The address that a call names itself, in small letters."""
    return Memory({}).find(json.loads(message.payload or "{}")).email
