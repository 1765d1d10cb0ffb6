"""What keeps every request from being answered says what to check, and uses up no event's tries."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.destination import RetryableError, SendError, Unreachable
from app.drip_to_segment.destination import SegmentDestination
from tests.support.fake_segment import FakeSegment

KEY = "wk-7Jx0Qm"


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> str:
    """One of its own for each test: what the environment says of a URL is looked up once."""
    return f"https://{abs(hash(request.node.name))}.example.com"


@contextmanager
def server(answer: bytes) -> Iterator[int]:
    """The port of one that says this to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        yield listening.getsockname()[1]


def error_of(host: str) -> SendError:
    with pytest.raises(SendError) as caught:
        SegmentDestination(host, KEY, {}).send(KEY, ['{"messageId": "drip-1"}'])
    return caught.value


def assert_unreachable(host: str, *words: str) -> None:
    error = error_of(host)
    assert type(error) is Unreachable
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (socket.EAI_NONAME, Unreachable),
        (socket.EAI_FAIL, Unreachable),
        (socket.EAI_AGAIN, RetryableError),
        (socket.EAI_SYSTEM, RetryableError),
    ],
)
def test_a_misspelt_host_is_reported_and_a_dns_failure_retried(
    host: str, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[SendError]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "as the resolver has it")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = error_of(host)
    assert type(error) is kind
    assert ("SEGMENT_HOST" in str(error)) == (kind is Unreachable)


def test_a_proxy_that_wants_a_login_is_reported(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://bo:canary@127.0.0.1:{port}")
        assert_unreachable(host, "407, it wants a login", "HTTPS_PROXY")
        assert "canary" not in str(error_of(host))


def test_a_proxy_that_is_not_there_is_reported(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert_unreachable(host, "HTTPS_PROXY")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "foo://127.0.0.1:9", "http://"])
def test_a_proxy_of_an_unknown_kind_is_reported(
    host: str, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert_unreachable(host, "HTTPS_PROXY", "PySocks")


def test_a_missing_file_of_certificates_is_reported(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert_unreachable(host, "SSL_CERT_FILE")


def test_a_server_without_tls_is_reported() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert_unreachable(f"https://127.0.0.1:{port}", "no TLS", "SEGMENT_HOST")


def test_tls_that_is_cut_off_passes() -> None:
    with server(b"") as port:
        assert type(error_of(f"https://127.0.0.1:{port}")) is RetryableError


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes the certificate")
def test_a_private_certificate_is_taken_with_ssl_cert_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = (str(tmp_path / name) for name in ("key.pem", "certificate.pem"))
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *names, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with FakeSegment(tls) as segment:
        assert_unreachable(segment.url, "not trusted (self-signed certificate)", "SSL_CERT_FILE")
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        SegmentDestination(segment.url.replace("127.0.0.1", "localhost"), KEY, {}).send(KEY, ["{}"])
        assert len(segment.batches) == 1
