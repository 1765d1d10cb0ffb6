"""The relay that one writes in an afternoon: the SDK's own queue, in memory.

No promise is kept here. What waits in the queue is gone with the process; a re-send is sent twice;
what Segment would drop, it drops.
"""

import os
from typing import Any

from flask import Flask, request
from segment import analytics

analytics.write_key = "key-of-the-relay"
analytics.host = os.environ["SEGMENT_HOST"]

COLLECTIONS = {
    "subscriber.received_email": "Email Delivered",
    "subscriber.opened_email": "Email Opened",
    "subscriber.clicked_email": "Email Link Clicked",
    "subscriber.unsubscribed_all": "Email Unsubscribed",
    "subscriber.bounced": "Email Bounced",
    "subscriber.complained": "Email Marked as Spam",
}

app = Flask(__name__)


@app.post("/webhooks/drip")
def receive() -> dict[str, Any]:
    """Translate, queue, answer."""
    envelope = request.get_json()
    subscriber = envelope["data"]["subscriber"]
    analytics.track(
        user_id=subscriber.get("user_id"),
        anonymous_id=subscriber["email"],
        event=COLLECTIONS[envelope["event"]],
        properties=envelope["data"]["properties"],
        context={"traits": {"email": subscriber["email"]}},
    )
    return {"status": "accepted"}
