"""What Segment's SDKs do after each of the bridge's answers, as docs/development/facts.md says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.segment_to_drip.receiving import tracking
from app.web.receiver import Answer
from tests.support.loopback import OnLoopback
from tests.support.segment_sdks import example, install_packages


class Answering(OnLoopback):
    """A host that gives this answer to the first request, and 200 to all others."""

    def __init__(self, first: Answer) -> None:
        self.batches: list[list[str]] = []
        """The message ids of each request."""
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = Answer("", {"success": True}) if host.batches else first
                host.batches.append([call["messageId"] for call in body["batch"]])
                content = answer.to_response().get_data()
                self.send_response(answer.code)
                self.send_header("Content-Length", str(len(content)))
                if "Retry-After" in answer.headers:
                    self.send_header("Retry-After", "1")  # nobody wants to wait out the real one
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


@pytest.fixture(params=["python", "node"])
def sdk(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path, list[str]]]:
    """What an example of the docs has in it, its file, and the command that runs it."""
    if request.param == "python":
        yield "segment.analytics", tmp_path / "example.py", [sys.executable]
        return
    modules = install_packages(tmp_path_factory.getbasetemp().parent / "segment-sdks")
    yield "analytics-node", modules.parent / f"{tmp_path.name}.mjs", ["node"]


@pytest.mark.parametrize(
    ("answer", "is_sent_again"),
    [
        (tracking.UNAVAILABLE, True),
        (tracking.WRONG_KEY, False),
        (tracking.TOO_LARGE, False),
        (tracking.NOT_JSON, False),
    ],
    ids=lambda value: str(getattr(value, "body", {}).get("code", value)),
)
def test_an_sdk_sends_again_what_could_not_be_kept(
    answer: Answer, is_sent_again: bool, sdk: tuple[str, Path, list[str]]
) -> None:
    name, script, command = sdk
    with Answering(answer) as host:
        script.write_text(example(name, host.url))
        subprocess.run([*command, script], check=True, timeout=60, capture_output=True)
    refused, later = host.batches[0], [name for batch in host.batches[1:] for name in batch]
    assert [name in later for name in refused] == [is_sent_again] * len(refused)
