"""Work out the requests for a message as if nothing had been sent before. Pure."""

import json

from app.outbox.messages import Message
from app.segment_to_drip.operations import Person, Request, next_operation, remember, to_request
from app.segment_to_drip.options import DripOptions


def requests_of(message: Message, account: str, options: DripOptions) -> list[Request]:
    """The requests for a message and what follows from it, in their order: for a track call the
    person first. None for a call that names no address."""
    requests: list[Request] = []
    person = Person()
    for each in (message, *message.follow_ups):
        call = json.loads(each.payload or "{}")
        address = address_of(each)
        while address and (operation := next_operation(call, address, person, options)):
            requests.append(to_request([operation], account))
            person = remember(person, operation)
            if not operation.introduces:
                break
    return requests


def address_of(message: Message) -> str | None:
    """The address that a call names itself, in small letters. What is remembered of ids counts
    less here than it does when the call is sent."""
    call = json.loads(message.payload or "{}")
    addresses = (value for kind, value in call.get("who", ()) if kind == "email")
    address = next(addresses, None)
    return address and address.lower()
