"""Say what would become of an event in Drip, and why, without keeping or sending anything. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import FieldErrors, InvalidPayload
from app.outbox.messages import NO_ERRORS, Ignored, Message
from app.segment_to_drip.mapping.parts import mappings_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import read_call
from app.segment_to_drip.sending.dry_run import DryRun
from app.segment_to_drip.sending.operations import Request
from app.segment_to_drip.translate import translate

NOTHING = (
    "Nothing: of an alias, the bridge learns which ids belong together; a person to delete, it "
    "does not know."
)


class Applied(NamedTuple):
    """A mapping that the event is for."""

    name: str
    action: str
    fields: Mapping[str, Any]
    """The values of the action's fields."""


class Trial(NamedTuple):
    """What would become of an event, if nothing had been sent of its person before."""

    applied: list[Applied]
    others: list[str]
    """Names of the mappings that the event is not for."""
    requests: list[Request]
    left_out: Mapping[str, str]
    """Path of what Drip does not get → why."""
    ignored: str = ""
    """Why it is not for Drip, if it is not."""
    errors: FieldErrors = NO_ERRORS
    """Why it would go to quarantine, if it would."""
    waits: bool = False
    """Whether it names no address, so that it would wait for one."""

    @property
    def is_nothing(self) -> bool:
        """Whether it is done without a request, as `NOTHING` says."""
        return not (self.requests or self.ignored or self.errors or self.waits)


def try_event(body: bytes, received_at: float, account: str, options: DripOptions) -> Trial:
    """Try one event against the mappings. Never raises."""
    applied = _applied(body, options)
    names = {each.name for each in applied}
    trial = Trial(applied, [m.name for m in options.mappings.all if m.name not in names], [], {})
    message = translate(body, received_at, account, options)
    if isinstance(message, Ignored):
        return trial._replace(ignored=message.reason or message.event)
    if message.payload is None:
        return trial._replace(errors=message.errors)
    run = DryRun(account, options)
    requests = run.take(message)
    return trial._replace(requests=requests, left_out=_left_out(message), waits=bool(run.waiting))


def _applied(body: bytes, options: DripOptions) -> list[Applied]:
    try:
        call, event = read_call(body)
    except InvalidPayload:
        return []
    return [
        Applied(mapping.name, mapping.action, mapping.resolve(event))
        for mapping in mappings_of(call, event, options)
    ]


def _left_out(message: Message) -> dict[str, str]:
    left_out: dict[str, str] = {}
    for each in message.together:
        left_out |= json.loads(each.payload or "{}").get("left_out", {})
    return left_out
