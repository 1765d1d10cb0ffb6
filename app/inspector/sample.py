"""An event of a person who does not exist, to try the whole way. Pure."""

import json
from datetime import UTC, datetime
from uuid import uuid4

PERSON = "sample-person@example.com"
SUBJECT = "Sample event of the bridge"


def build_sample(account: str, now: float) -> bytes:
    """A webhook as Drip posts it; no two are the same event. `now` in seconds since the epoch."""
    event = {
        "event": "subscriber.opened_email",
        "data": {
            "account_id": account,
            "subscriber": {"id": "sample-person", "email": PERSON, "user_id": None},
            "properties": {
                "delivery_id": f"sample-{uuid4().hex}",
                "email_id": "sample",
                "email_subject": SUBJECT,
            },
        },
        "occurred_at": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(event).encode()
