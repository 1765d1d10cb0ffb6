"""What Segment posts: requests as its own code makes and signs them, and how to sign others."""

import hmac
import json
from collections.abc import Iterable
from typing import Any

from flask import Flask

from app.outbox.group_commit import GroupCommit
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.webhook import create_webhook
from tests.support.bridge_process import ROOT

SECRET = "a-secret-of-many-letters"
ACCOUNT = "8838307"
PATH = "/webhooks/segment"


def sign(body: bytes, secret: str = SECRET) -> str:
    """What `X-Signature` is for a body."""
    return hmac.digest(secret.encode(), body, "sha1").hex()


def segment_webhooks() -> list[dict[str, Any]]:
    """Requests with their headers, and what is expected of them."""
    path = ROOT / "tests" / "golden" / "segment_webhooks.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def call(name: str, **fields: Any) -> bytes:
    """An identify call whose message id is `name`; `fields` change it."""
    event = {
        "type": "identify",
        "messageId": name,
        "userId": f"user of {name}",
        "timestamp": "2026-11-02T09:30:00.000Z",
        "traits": {"email": f"{name}@example.com", "plan": "pro"},
    }
    return json.dumps({**event, **fields}).encode()


def batch(events: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"


def webhook_over(
    outbox: GroupCommit, secrets: tuple[str, ...] = (SECRET,), **options: Any
) -> Flask:
    """An app with Segment's webhook alone."""
    app = Flask(__name__)
    chosen = DripOptions(**{"default_account": ACCOUNT, **options})
    app.register_blueprint(create_webhook(secrets, outbox, chosen))
    return app
