"""A wall clock that steps, for every process of a bridge: `time.time` in them, set from outside."""

import struct
import time
from pathlib import Path

from tests.support.bridge_process import ROOT, BridgeProcess

_SITE = """
import mmap, struct, time
with open({path!r}, "rb") as file:
    step = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
true_time = time.time
time.time = lambda: true_time() + struct.unpack_from("d", step)[0]
"""


class SteppedClock:
    """Python runs `sitecustomize` before anything else, so that nothing keeps the true clock."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self._file = Path(bridge.folder / "clock")
        self.set(0.0)
        (bridge.folder / "sitecustomize.py").write_text(_SITE.format(path=str(self._file)))
        bridge.environ["PYTHONPATH"] = f"{bridge.folder}:{ROOT}"

    def set(self, seconds: float) -> None:
        """Ahead of the true clock, or behind it."""
        self.ahead = seconds
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("d", seconds))

    def now(self) -> float:
        """What the processes take for the time."""
        return time.time() + self.ahead
