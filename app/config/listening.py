"""Where a web process listens, as gunicorn takes it, and what comes of IPv6."""

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DEFAULT_PORT = 8000


def on_this_machine(port: int = DEFAULT_PORT) -> tuple[str, ...]:
    """For a laptop, or behind a proxy on the same machine."""
    return (f"127.0.0.1:{port}",)


def everywhere(port: int) -> tuple[str, ...]:
    """Every address, of IPv6 too if the system has it: some private networks have nothing else."""
    any4, any6 = f"0.0.0.0:{port}", f"[::]:{port}"
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            takes_both = not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return (any4,)
    return (any6,) if takes_both else (any4, any6)


def port_of(bind: tuple[str, ...]) -> int:
    """The one port of all these addresses."""
    return int(bind[0].rpartition(":")[2])


class Unmapped:
    """An app whose callers over IPv4 have their own address, also if they came to `[::]`.

    That writes them ::ffff:203.0.113.7: all of IPv4 in what is one network of IPv6, and private.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
        return self._app(environ, start_response)
