"""Variables of the process's environment, and of the `.env` file in the current folder.

One reading for all processes. gunicorn by itself reads no such file, and Flask's command line the
nearest one, which may be another project's in a parent folder, and `.flaskenv` too.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import dropwhile
from pathlib import Path

import click
from click.core import ParameterSource
from dotenv import dotenv_values, find_dotenv
from flask.cli import ScriptInfo, run_command

from app.errors import ConfigError

ENV_FILE = ".env"

FLASK_RUNS = "FLASK_RUN_FROM_CLI"
"""Flask's command line sets it first of all."""


@dataclass(frozen=True)
class Environment:
    """What was said, variable by variable; a blank value says nothing."""

    process: Mapping[str, str]
    file: Mapping[str, str]

    @property
    def all(self) -> dict[str, str]:
        """The process's environment wins."""
        return {**self.file, **self.process}


def read_environment(own: Collection[str]) -> Environment:
    """The file is read anew each time. What it says of variables that are not the bridge's `own`,
    such as HTTPS_PROXY, becomes part of the process's environment, as libraries look for it there.

    Raises `ConfigError` if the file cannot be read, or Flask has read another.
    """
    _undo_flasks_reading()
    file = _said(_read(Path(ENV_FILE)))
    for name in file.keys() - set(own):
        os.environ.setdefault(name, file[name])
    return Environment(process=_said(os.environ), file=file)


def _said(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value and value.strip()}


def _read(path: Path) -> Mapping[str, str | None]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise ConfigError(f"{path.absolute()} is not in UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path.absolute()} cannot be read: {error.strerror}.") from None
    if "\0" in text:  # UTF-16 without a mark
        raise ConfigError(f"{path.absolute()} is not in UTF-8. Save it as UTF-8.")
    return dotenv_values(stream=StringIO(text))


def _undo_flasks_reading() -> None:
    """Take out of the environment what Flask's command line has put there from files."""
    context = click.get_current_context(silent=True)
    script = context.find_object(ScriptInfo) if context else None
    if context is None or script is None:
        return
    if context.find_root().get_parameter_source("env_file") not in (None, ParameterSource.DEFAULT):
        raise ConfigError(
            "flask --env-file is not for the bridge: gunicorn and the deliverer would not read "
            f"that file. Put its lines into the environment or {Path(ENV_FILE).absolute()}."
        )
    if not script.load_dotenv_defaults:
        return
    # the variables are in the order in which they came
    added = set(dropwhile(FLASK_RUNS.__ne__, os.environ))
    for name in (ENV_FILE, ".flaskenv"):
        if path := find_dotenv(name, usecwd=True):
            _forget(Path(path), added, is_run=context.command is run_command)


def _forget(path: Path, added: Collection[str], *, is_run: bool) -> None:
    for name in dotenv_values(path).keys() & set(added):
        if is_run and name.startswith("FLASK_RUN_") and path.parent != Path.cwd():
            raise ConfigError(
                f"flask run has taken {name} from {path}, which is another project's. "
                "Set FLASK_SKIP_DOTENV=1."
            )
        os.environ.pop(name, None)
