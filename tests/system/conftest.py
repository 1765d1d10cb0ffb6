"""What the tests of processes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment


@pytest.fixture(scope="module")
def shared_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeProcess]:
    """gunicorn without a deliverer, for tests that do not mind what others have posted to it."""
    folder = tmp_path_factory.mktemp("shared")
    with BridgeProcess(
        make_url(f"sqlite:///{folder}/bridge.db"), "http://127.0.0.1:9", folder
    ) as process:
        process.start_web(DELIVER_IN_WEB="false")
        yield process


@pytest.fixture
def bridge(segment: FakeSegment, tmp_path: Path) -> Iterator[BridgeProcess]:
    """gunicorn over an SQLite file, not yet started."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as process:
        yield process
