"""A real HTTP endpoint that stands in for Drip's REST API, and can misbehave."""

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar

from tests.support.loopback import OnLoopback

API_TOKEN = "an-api-token-0a1b2c3d"
ACCOUNT = "9999999"
WEBHOOKS = f"/v2/{ACCOUNT}/webhooks"


@dataclass(frozen=True)
class Answer:
    """How to answer a request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    """Seconds before anything is answered."""
    seconds_a_byte: float = 0.0
    """Drip the body out."""
    cut: bool = False
    """Close the connection in place of an answer."""


@dataclass(frozen=True)
class Visit:
    """One request as it arrived."""

    line: str
    """Method and path."""
    headers: Mapping[str, str]
    body: Any
    """The JSON that came; None where nothing came."""


class FakeDrip(OnLoopback):
    """One account with its webhooks, behind one API token, as Drip documents it."""

    def __init__(self) -> None:
        self.webhooks: list[dict[str, Any]] = []
        self.visits: list[Visit] = []
        self.behave: Callable[[Visit], Answer | None] = lambda _: None
        """An answer in place of the documented one, with nothing done; None for that one."""
        self._next_id = count(77001)
        outer = self

        class Handler(_Handler):
            drip = outer

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.block_on_close = False
        super().__init__(server)

    def add(
        self,
        post_url: str,
        events: Iterable[str] = (),
        include_received_email: bool = True,
        **kwargs: Any,
    ) -> str:
        """A webhook that is there already; its id."""
        webhook_id = str(next(self._next_id))
        webhook = {
            "id": webhook_id,
            "href": f"https://api.getdrip.com{WEBHOOKS}/{webhook_id}",
            "post_url": post_url,
            "version": "2",
            "include_received_email": include_received_email,
            "events": list(events),
            "created_at": "2013-06-21T10:31:58Z",
            "links": {"account": ACCOUNT},
        }
        self.webhooks.append({**webhook, **kwargs})
        return webhook_id

    def ids(self) -> list[str]:
        return [webhook["id"] for webhook in self.webhooks]

    def changes(self) -> list[str]:
        """The requests that were to change something, in order."""
        return [visit.line for visit in self.visits if not visit.line.startswith("GET ")]

    def answer(self, visit: Visit) -> Answer:
        """What Drip documents."""
        method, _, path = visit.line.partition(" ")
        basic = base64.b64encode(f"{API_TOKEN}:".encode()).decode()
        if visit.headers.get("Authorization") != f"Basic {basic}":
            return refusal(401, "authentication_error", "No valid API token")
        if not f"{path}/".startswith(f"{WEBHOOKS}/"):
            return refusal(404, "not_found_error", "The resource you requested was not found")
        if method == "DELETE":
            return self._delete(path.removeprefix(f"{WEBHOOKS}/"))
        if method == "POST":
            [wanted] = visit.body["webhooks"]
            self.add(**{"include_received_email": False, **wanted})
            return _in_json(201, {"links": {}, "webhooks": self.webhooks[-1:]})
        return _in_json(200, {"links": {}, "webhooks": self.webhooks})

    def _delete(self, webhook_id: str) -> Answer:
        if webhook_id not in self.ids():
            return refusal(404, "not_found_error", "The resource you requested was not found")
        self.webhooks = [webhook for webhook in self.webhooks if webhook["id"] != webhook_id]
        return Answer(204)


def refusal(status: int, code: str, message: str, attribute: str | None = None) -> Answer:
    error = {"code": code, "message": message}
    return _in_json(status, {"errors": [{**error, "attribute": attribute} if attribute else error]})


def _in_json(status: int, value: Any) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    drip: ClassVar[FakeDrip]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        visit = Visit(f"{self.command} {self.path}", headers, json.loads(body) if body else None)
        self.drip.visits.append(visit)
        self._answer(self.drip.behave(visit) or self.drip.answer(visit))

    do_POST = do_DELETE = do_GET  # noqa: N815 - the server finds them by these names

    def _answer(self, answer: Answer) -> None:
        time.sleep(answer.hang)
        self.close_connection = self.close_connection or answer.cut
        if answer.cut:
            return
        self.send_response(answer.status)
        limits = {"X-RateLimit-Limit": "3600", "X-RateLimit-Remaining": "3599"}
        for name, value in {**limits, **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        step = 1 if answer.seconds_a_byte else len(answer.body) or 1
        try:
            for start in range(0, len(answer.body), step):
                self.wfile.write(answer.body[start : start + step])
                time.sleep(answer.seconds_a_byte)
        except OSError:  # a client that waits no longer is what a test is about
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Tests read what arrived, not a log of it."""
