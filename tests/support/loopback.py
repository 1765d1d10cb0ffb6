"""What the stand-ins for Drip and Segment share: a server on loopback, in the block of a `with`."""

import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self


class OnLoopback:
    """A server that serves from the beginning of the block to its end."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
