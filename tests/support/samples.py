"""What Drip posts: samples/, and changes of them."""

from tests.support.bridge_process import ROOT

OPENED = (ROOT / "samples" / "opened_email.json").read_bytes()
CLICKED = (ROOT / "samples" / "clicked_email.json").read_bytes()
NOBODY = b'{"event": "subscriber.opened_email",\r\n "data": {"subscriber": {}}}\n'
"""Of no person, and so never readable."""


def changed(old: bytes, new: bytes, body: bytes = OPENED) -> bytes:
    """The body with one piece of its JSON replaced."""
    assert body.count(old) == 1
    return body.replace(old, new)
