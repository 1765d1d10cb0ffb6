"""Read variables from the process's environment and from `.env` in the current folder.

All processes read them in this one way. By itself gunicorn reads no such file. Flask's command line
reads the nearest one, which may be another project's in a parent folder, and `.flaskenv` too.
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
"""The first variable that Flask's command line sets."""


@dataclass(frozen=True)
class Environment:
    """The variables that have a value, by where they were set. A blank value counts as none."""

    process: Mapping[str, str]
    file: Mapping[str, str]

    @property
    def all(self) -> dict[str, str]:
        """Both together. The process's own environment wins."""
        return {**self.file, **self.process}


def read_environment(own: Collection[str]) -> Environment:
    """Read the process's environment, and the file anew.

    Variables of the file that are not the bridge's `own`, such as HTTPS_PROXY, are put into the
    process's environment, because libraries look for them there.

    Raises `ConfigError` if the file cannot be read, or Flask has read another.
    """
    _undo_flask_dotenv()
    file = _with_value(_read(Path(ENV_FILE)))
    for name in file.keys() - set(own):
        os.environ.setdefault(name, file[name])
    return Environment(process=_with_value(os.environ), file=file)


def _with_value(values: Mapping[str, str | None]) -> dict[str, str]:
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


def _undo_flask_dotenv() -> None:
    """Remove the variables that Flask's command line has read from files."""
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
    # the environment keeps the order in which variables were set
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
