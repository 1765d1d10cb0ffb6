"""Where a run took place: a figure means nothing without it."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from benchmarks.postgresql import ask, postgresql
from benchmarks.report import say

SYNCS = 200
BLOCK = b"\1" * 4096


def say_machine() -> None:
    """A line each."""
    for name, value in _facts():
        say(f"- {name}: {value}")
    say("")


def _facts() -> Iterator[tuple[str, str]]:
    yield "processor", f"{_processor()}, {os.cpu_count()} cores"
    yield "kernel", f"{platform.system()} {platform.release()}"
    yield "disk", f"{_file_system()}, a 4 KiB write and its sync take {_sync_ms():.2f} ms"
    yield "Python", platform.python_version()
    yield "SQLite", _sqlite_version()
    with postgresql() as url:
        yield "PostgreSQL", ask(url, "SHOW server_version")
    for package in ("gunicorn", "flask"):
        yield package, version(package)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _file_system() -> str:
    """Of the folder in which the databases lie: TMPDIR chooses it."""
    folder = Path(tempfile.gettempdir()).resolve()
    parts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    kind = next(parts[each] for each in (folder, *folder.parents) if each in parts)
    return f"{kind}, which is memory, not a disk: set TMPDIR" if kind == "tmpfs" else kind


def _sync_ms() -> float:
    """The median."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.write(file.fileno(), BLOCK)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def _sqlite_version() -> str:
    engine = open_database(make_url("sqlite://"))
    found: str = engine.dialect.dbapi.sqlite_version  # type: ignore[union-attr]
    engine.dispose()
    return found
