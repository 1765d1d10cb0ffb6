"""Append variables to a `.env` file, for its owner's eyes only."""

import fcntl
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

OWNER_ONLY = 0o600


def add_missing(path: Path, values: Mapping[str, str]) -> list[str]:
    """Append the variables that have no value in the file, and return their names.

    Lines that are there are not changed. Of processes that do this at the same time, each reads
    what the one before has written. Raises `OSError`, or `UnicodeDecodeError`.
    """
    with open(path, "ab+", buffering=0, opener=_open_for_owner) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read().decode("utf-8-sig")
        present = dotenv_values(stream=StringIO(text))
        missing = [name for name in values if not (present.get(name) or "").strip()]
        if missing:
            os.fchmod(file.fileno(), OWNER_ONLY)
            lines = "".join(f"{name}={values[name]}\n" for name in missing)
            is_mid_line = bool(text) and not text.endswith("\n")
            # in one write, so that nobody reads a half of it
            file.write((("\n" if is_mid_line else "") + lines).encode())
            os.fsync(file.fileno())
    return missing


def _open_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)
