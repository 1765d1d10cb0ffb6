"""`mapping show`, `fields`, `check`: see the mappings of calls to Drip, and try events on them."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import click
from flask.cli import with_appcontext

from app.bridge import bridge_of
from app.cli.replay_files import find_files, read_bodies
from app.errors import ConfigError
from app.segment_to_drip.direction import options_of
from app.segment_to_drip.mapping.actions import ACTIONS
from app.segment_to_drip.mapping.mappings import load, text_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.sending.trial import NOTHING, Trial, try_event


class MappingGroup(click.Group):
    """A command group that reports a faulty file of mappings as one message."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.ClickException(str(error)) from None


@click.group("mapping", cls=MappingGroup)
def mapping_commands() -> None:
    """See what becomes of calls to Drip, and try events against it."""


@mapping_commands.command()
@click.argument("name", required=False)
@with_appcontext
def show(name: str | None) -> None:
    """Print the mappings of a preset (bridge, classic, actions) or a file. Without NAME, those in
    use."""
    name = name or bridge_of().settings.drip_mapping
    load(name)
    click.echo(text_of(name).rstrip())


@mapping_commands.command()
def fields() -> None:
    """Print the actions of mappings and their fields, as Markdown."""
    click.echo("\n\n".join(_table(action) for action in ACTIONS))


def _table(action: str) -> str:
    rows = [
        f"| `{name}` | {field.label} | {field.type} | {field.description} |"
        for name, field in ACTIONS[action].items()
    ]
    head = ["| field | label | value | |", "|---|---|---|---|"]
    return "\n".join([f"**`{action}`**", "", *head, *rows])


@mapping_commands.command()
@click.argument("name")
@click.argument(
    "paths", metavar="[EVENT]…", nargs=-1, type=click.Path(exists=True, allow_dash=True)
)
@with_appcontext
def check(name: str, paths: tuple[str, ...]) -> None:
    """Check the mappings in a file, and say what would become of events in Drip.

    NAME is a JSON file or a preset, EVENT are files of calls as Segment posts them (- for standard
    input). Nothing is kept or sent. Ends with 1 if an event would go to quarantine.
    """
    mappings = load(name)
    triggers = ", ".join(mapping.name for mapping in mappings.all)
    click.echo(f"{name} can be used as DRIP_MAPPING. It has {len(mappings.all)}: {triggers}.")
    options = replace(options_of(bridge_of().settings), mappings=mappings)
    is_good = True
    for path in find_files(paths):
        for posted in read_bodies(path):
            trial = try_event(posted.body, time.time(), _account(options), options)
            click.echo(f"\n{posted.name}:{posted.line}")
            for line in (*_values(trial), *_outcome(trial)):
                click.echo(f"  {line}")
            is_good = is_good and not trial.errors
    if not is_good:
        raise SystemExit(1)


def _account(options: DripOptions) -> str:
    return options.default_account or "ACCOUNT"


def _values(trial: Trial) -> Iterator[str]:
    """The mappings that an event is for, and the values of their fields."""
    for applied in trial.applied:
        yield f"{applied.name}: {applied.action}"
        for field, value in applied.fields.items():
            yield f"  {field} = {json.dumps(value, ensure_ascii=False)}"


def _outcome(trial: Trial) -> Iterator[str]:
    """What becomes of it."""
    if trial.ignored:
        yield f"Ignored: {trial.ignored}."
    for path, reasons in trial.errors.items():
        yield f"To quarantine. {path}: {' '.join(reasons)}"
    if trial.is_nothing:
        yield NOTHING
    if trial.waits:
        yield "It names no address: it waits until the bridge knows the one of its id."
    for request in trial.requests:
        yield f"{request.method} {request.path}"
        if request.body is not None:
            yield f"  {json.dumps(request.body, ensure_ascii=False)}"
    for path, reason in trial.left_out.items():
        yield f"{path}: {reason}"
