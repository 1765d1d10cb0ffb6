"""Another site than the bridge's: pages with Segment's packages for browsers in them."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.loopback import OnLoopback


class Shop(OnLoopback):
    """Serves the files of a folder, and the packages in `node_modules`."""

    def __init__(self, folder: Path, modules: Path) -> None:
        folder.mkdir()
        (folder / "node_modules").symlink_to(modules)
        self.folder = folder
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=folder)))

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


class _Files(SimpleHTTPRequestHandler):
    """Serves a folder, and writes no log."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""
