"""What the tests of processes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment


@pytest.fixture
def bridge(segment: FakeSegment, tmp_path: Path) -> Iterator[BridgeProcess]:
    """gunicorn over an SQLite file, not yet started."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as process:
        yield process
