"""The floor for what Segment posts: a route that reads the body, and does nothing with it."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/webhooks/segment")
def receive() -> str:
    """The whole body is read, and nothing is kept."""
    request.get_data(cache=False)
    return ""
