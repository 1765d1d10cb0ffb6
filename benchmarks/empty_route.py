"""The floor that every Flask app stands on: a route that does nothing."""

from flask import Flask

app = Flask(__name__)


@app.post("/webhooks/drip")
def receive() -> str:
    """Nothing is read, nothing is kept."""
    return ""
