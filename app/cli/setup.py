"""`setup`: write missing secrets into `.env`, and say what is still to be set."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from app.clients.drip import WHERE_THE_ACCOUNT_IS, WHERE_THE_TOKEN_IS
from app.config.env_file import add_missing
from app.config.environment import ENV_FILE
from app.config.settings import (
    PASSWORD_FILE,
    TOKEN_FILE,
    environ_to_settings,
    new_secret,
    read_variables,
)
from app.errors import ConfigError


@click.command()
@click.option(
    "--segment-to-drip", is_flag=True, help="Also SEGMENT_WEBHOOK_SECRET, which turns it on."
)
def setup(segment_to_drip: bool) -> None:
    """Write missing secrets into .env, and say what is still to be set.

    Lines that are there are not changed. Works also if the bridge cannot start.
    """
    path = Path(ENV_FILE).absolute()
    try:
        written = _write(path, is_both_ways=segment_to_drip)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise click.ClickException(f"{path} cannot be written: {reason}.") from None
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if written:
        click.echo(f"Written into {path}: {', '.join(written)}. Start the bridge again.")
    else:
        click.echo("No secret is missing. Nothing was written.")
    _report(read_variables().all)


def _write(path: Path, *, is_both_ways: bool) -> list[str]:
    """Write what neither the environment nor the file has. Returns the names.

    Secrets that the bridge generated are used on, because Drip may have the token by now.
    """
    environment = read_variables()
    if "DYNO" in environment.process:
        raise click.ClickException(
            f"On Heroku a dyno loses its files. Set secrets with: heroku config:set NAME={_SHELL}"
        )
    values = {
        "DRIP_WEBHOOK_TOKEN": _kept_or_new(Path(TOKEN_FILE)),
        "INSPECTOR_PASSWORD": _kept_or_new(Path(PASSWORD_FILE)),
    }
    if is_both_ways:
        values["SEGMENT_WEBHOOK_SECRET"] = new_secret()
    return add_missing(
        path, {name: value for name, value in values.items() if name not in environment.process}
    )


def _kept_or_new(path: Path) -> str:
    return path.read_text().strip() if path.exists() else new_secret()


_SHELL = "$(openssl rand -hex 24)"


def _report(variables: Mapping[str, str]) -> None:
    """Print what is still to be set. Ends with 1 if the bridge cannot start."""
    if lines := list(_still_to_set(variables)):
        click.echo("\n".join(["Still to be set:", *(f"  {line}" for line in lines)]))
    try:
        environ_to_settings(variables)
    except ConfigError as error:
        click.echo(error, err=True)
        click.echo("To have a secret made, delete its line and run flask setup again.", err=True)
        raise SystemExit(1) from None


def _still_to_set(variables: Mapping[str, str]) -> Iterator[str]:
    if not variables.keys() & {"SEGMENT_WRITE_KEY", "SEGMENT_WRITE_KEYS"}:
        yield "SEGMENT_WRITE_KEY: of a Segment source. Until then Drip's events are kept and held."
    if not variables.keys() & {"DRIP_API_TOKEN", "DRIP_API_TOKENS"}:
        yield f"DRIP_API_TOKEN: {WHERE_THE_TOKEN_IS}"
    if "DRIP_ACCOUNT_ID" not in variables:
        yield f"DRIP_ACCOUNT_ID: {WHERE_THE_ACCOUNT_IS}"
    if "PUBLIC_URL" not in variables:
        yield "PUBLIC_URL: https:// and the host at which Drip reaches the bridge."
