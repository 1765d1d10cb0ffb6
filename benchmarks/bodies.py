"""Webhooks that are each a click of their own: `samples/clicked_email.json`, told apart by their
delivery, in compact JSON as a program sends it.
"""

import json

from tests.support.bridge_process import ROOT


def body_around() -> tuple[bytes, bytes]:
    """What stands before and after the delivery's id."""
    body = json.loads((ROOT / "samples" / "clicked_email.json").read_text())
    body["data"]["properties"]["delivery_id"] = "\0"
    before, _, after = json.dumps(body, separators=(",", ":")).partition(json.dumps("\0"))
    return f'{before}"'.encode(), f'"{after}'.encode()
