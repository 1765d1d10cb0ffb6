"""What is said of a kept call beside the way of its fields."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from app.inspector.field_mapping import read_mapping
from app.outbox.messages import Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import translate

BODY = json.dumps({"type": "identify", "userId": "u1", "traits": {"email": "a@x.org"}}).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"new_email": "b@x.org"}, "Added when the bridge knew whose call it is: new_email."),
        ({"subscriber": {}}, "The call was made by another version of the bridge"),
    ],
)
def test_a_kept_call_is_compared_with_todays(change: dict[str, Any], said: str) -> None:
    def todays(body: bytes, received_at: float, account: str) -> Any:
        return translate(body, received_at, account, DripOptions())

    message = todays(BODY, 1.0, "")
    assert isinstance(message, Message)
    payload = json.dumps(json.loads(message.payload or "") | change)
    event: Any = SimpleNamespace(
        payload=payload, raw=BODY, destination="drip", received_at=1.0, account=""
    )
    direction: Any = SimpleNamespace(translate=todays)
    note = read_mapping(event, direction).note
    assert note.startswith(said)
    assert bool(note) == bool(said)
