"""The bridge in this process, for a browser to look at: it starts in no time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from app.bridge import bridge_of
from app.config.settings import load_settings
from app.monitoring.deliverers import BEAT_EVERY
from tests.support.bridge_process import TOKEN, WRITE_KEY
from tests.support.databases import put_schema
from tests.support.flask_app import rows_of
from tests.support.waiting import wait_until

PASSWORD = "a-password-for-the-browser"


class _Quiet(WSGIRequestHandler):
    """Writes no log of requests."""

    def log_request(self, *_: object) -> None:
        """Nothing."""


class Site:
    """The pages of an app over loopback, and its webhook."""

    def __init__(self, app: Flask, base: str) -> None:
        self.app = app
        self.base = base

    def post(self, body: bytes) -> requests.Response:
        """As Drip does."""
        return requests.post(
            f"{self.base}/webhooks/drip", body, params={"token": TOKEN}, timeout=30
        )

    def count_anew(self) -> None:
        """Pages show counts that are some seconds old; the next one is to have new ones."""
        for direction in bridge_of(self.app).directions:
            direction.stats.forget()

    def wait_for(self, state: str, message_id: str = "") -> str:
        """Until an event, or the one with this message id, is in this state. Returns its id."""
        found: list[str] = []

        def look() -> list[str]:
            ids = [row.message_id for row in rows_of(self.app) if row.state == state]
            found[:] = [each for each in ids if each == (message_id or each)]
            return found

        wait_until(look)
        return found[0]


@contextmanager
def running(folder: Path, segment_url: str) -> Iterator[Site]:
    """The bridge with the inspector on and nothing in it, while it serves and delivers. The folder
    has to be the current one."""
    (folder / ".env").write_text(
        f"DATABASE_URL=sqlite:///{folder}/bridge.db\n"
        f"DRIP_WEBHOOK_TOKEN={TOKEN}\n"
        f"SEGMENT_HOST={segment_url}\n"
        f"SEGMENT_WRITE_KEY={WRITE_KEY}\n"
        f"INSPECTOR_PASSWORD={PASSWORD}\n"
    )
    settings = load_settings()
    put_schema(settings.database_url)
    app = create_app(settings)
    bridge = bridge_of(app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    ended = threading.Event()

    def beat() -> None:
        bridge.heartbeat.beat()
        while not ended.wait(BEAT_EVERY):
            bridge.heartbeat.beat()

    threads = [
        threading.Thread(target=server.serve_forever, args=(0.01,)),
        threading.Thread(target=beat),
    ]
    for thread in threads:
        thread.start()
    threads += [direction.delivery.start() for direction in bridge.directions]
    try:
        yield Site(app, f"http://127.0.0.1:{server.server_port}")
    finally:
        ended.set()
        bridge.stop_delivery()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()
        bridge.close()
