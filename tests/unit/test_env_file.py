"""Variables are appended to a `.env` file once, and its lines are not changed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.config.env_file import add_missing

WRITERS = 8


@pytest.mark.parametrize("before", ["", "OTHER=1\n", "# ours\r\nOTHER=1", "\ufeffNAME=\nOTHER=1\n"])
def test_lines_are_appended_after_those_that_are_there(tmp_path: Path, before: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before.encode())

    assert add_missing(path, {"NAME": "a"}) == ["NAME"]

    end = "" if before.endswith("\n") or not before else "\n"
    assert path.read_bytes().decode().startswith(f"{before}{end}NAME=a\n")


def test_what_has_a_value_is_not_appended(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("NAME=a\n")

    assert add_missing(path, {"NAME": "b"}) == []
    assert path.read_text() == "NAME=a\n"


def test_of_several_writers_at_once_one_writes(tmp_path: Path) -> None:
    together = threading.Barrier(WRITERS)

    def write(path: Path) -> list[str]:
        together.wait()
        return add_missing(path, {"NAME": "x" * 500})

    with ThreadPoolExecutor(WRITERS) as pool:
        for each in range(50):
            path = tmp_path / f"{each}.env"
            written = [*pool.map(write, [path] * WRITERS)]
            assert sorted(written) == [[]] * (WRITERS - 1) + [["NAME"]]
            assert path.read_text().count("NAME") == 1
