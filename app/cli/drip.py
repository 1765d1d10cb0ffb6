"""`drip connect`, `drip check`, `drip disconnect`: manage this bridge's webhook in Drip."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge, bridge_of
from app.cli.drip_access import check_access
from app.clients.drip import Drip, DripError
from app.clients.drip_answers import Webhook
from app.config.fields import Host
from app.config.settings import Settings
from app.database.engine import describe, reader
from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.webhook_check import (
    ALL_EVENTS,
    check_webhook,
    describe_faults,
    drip_client,
    missing_settings,
    name_of,
    of_bridge,
)
from app.drip_to_segment.webhook_setup import faults, is_public, webhook_url
from app.outbox.latest import last_received

CONNECT = "flask drip connect"


class BaseUrl(click.ParamType[str]):
    """The URL at which the bridge is reached. Errors never repeat it: it may contain a token."""

    name = "url"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            return str(Host().deserialize(value))
        except ValidationError:
            self.fail(
                "must be https:// and a host alone, without path, query or user name: "
                "https://my-bridge.example.com (http:// on loopback only).",
                param,
                ctx,
            )


class DripGroup(click.Group):
    """A command group that reports a `DripError` as one message."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DripError as error:
            raise click.ClickException(str(error)) from None


@click.group("drip", cls=DripGroup)
def drip_commands() -> None:
    """Set up the webhook in Drip, look after it, and check API tokens."""


@drip_commands.command()
@click.argument("base_url", type=BaseUrl(), required=False)
@click.option("--replace", is_flag=True, help="Put a new webhook in place of one that differs.")
@click.option(
    "--basic",
    is_flag=True,
    help="Have the secret come by HTTP Basic, not in the query. Not documented: whether Drip can.",
)
@with_appcontext
def connect(base_url: str | None, replace: bool, basic: bool) -> None:
    """Have Drip post its email events to the bridge, which it reaches at BASE_URL.

    Without BASE_URL it is PUBLIC_URL. Run again, it changes nothing. Webhooks that lead elsewhere
    are never touched.
    """
    settings = bridge_of().settings
    base = _public_base(base_url or settings.public_url)
    drip = _client(settings)
    tokens = settings.tokens_for(settings.drip_account_id)
    webhooks = of_bridge(drip.webhooks(), base, tokens)
    kept = next((each for each in webhooks if not faults(each, base, tokens, basic)), None)
    others = [webhook for webhook in webhooks if webhook is not kept]
    if others and not replace:
        _print_faults(webhooks, base, tokens, basic)
        raise SystemExit(1)
    if kept is None:
        _create(drip, base, tokens, basic)
    else:
        click.echo(f"{name_of(kept)} is there already, and as it should be. It was left alone.")
    _delete(
        drip,
        others,
        "The webhook for this bridge is at work. Until the rest is deleted, events come more than "
        f"once, and are kept once. Run again: {_replace_command(base, basic)}",
    )


@drip_commands.command()
@click.argument("base_url", type=BaseUrl(), required=False)
@with_appcontext
def check(base_url: str | None) -> None:
    """See that the webhook is there and as it should be. Ends with 1 if anything is to be done.

    Without BASE_URL it is known by its token alone. If Segment to Drip is on, see also that the API
    token of each account is good, and gives access to the account.
    """
    bridge = bridge_of()
    settings = bridge.settings
    has_access = not settings.is_segment_to_drip_on or check_access(settings)
    checked = check_webhook(_client(settings), settings, base_url)
    for line in checked.lines:
        click.echo(line, err=not checked.is_good)
    if not checked.is_good:
        _print_remedy(base_url, checked.has_webhook)
        raise SystemExit(1)
    click.echo(_last_event(bridge))
    if not has_access:
        raise SystemExit(1)


@drip_commands.command()
@click.argument("base_url", type=BaseUrl(), required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def disconnect(base_url: str | None, yes: bool) -> None:
    """Delete the webhooks that lead to BASE_URL; without it, those with a token of this bridge."""
    settings = bridge_of().settings
    drip = _client(settings)
    # with an address, ignore tokens: the bridge with our token may have moved to another address
    tokens = () if base_url else settings.tokens_for(settings.drip_account_id)
    webhooks = of_bridge(drip.webhooks(), base_url, tokens)
    if not webhooks:
        where = f"leads to {base_url}" if base_url else "has a token of this bridge"
        click.echo(f"Nothing to delete: no webhook of account {settings.drip_account_id} {where}.")
        return
    for webhook in webhooks:
        click.echo(f"{name_of(webhook)}")
    if not yes:
        click.confirm("Delete this? Drip will post nothing more to it.", abort=True)
    _delete(drip, webhooks, "Run the command again.")


def _public_base(base: str | None) -> str:
    """Return the URL for Drip to post to. Raises `UsageError` if Drip cannot reach it."""
    if base is None:
        raise click.UsageError("Give the URL at which Drip reaches the bridge, or set PUBLIC_URL.")
    if not is_public(base):
        raise click.UsageError(
            f"Drip cannot reach {base}: it is an address of this machine or of a private network. "
            "Give the bridge's public URL."
        )
    return base


def _client(settings: Settings) -> Drip:
    """Return a client. Raises `ClickException` that says where to find each missing setting."""
    if drip := drip_client(settings):
        return drip
    missing = "".join(f"\n  {line}" for line in missing_settings(settings))
    raise click.ClickException(
        f"Set this first, in the environment or as a line of a .env file:{missing}"
    )


def _replace_command(base: str, is_basic: bool) -> str:
    return f"{CONNECT} {base}{' --basic' if is_basic else ''} --replace"


def _create(drip: Drip, base: str, tokens: Sequence[str], is_basic: bool) -> None:
    """Create the webhook. Raises `ClickException` if Drip made it otherwise than asked."""
    created = drip.create(webhook_url(base, tokens[0], is_basic), COLLECTIONS)
    click.echo(f"{name_of(created)} is created: {ALL_EVENTS}.")
    if is_basic:
        click.echo(
            "Whether Drip posts with a user name and password in the URL is not documented: open a "
            "mail of yours, and see that it comes: flask events --limit 1. If it does "
            f"not: {CONNECT} {base} --replace",
            err=True,
        )
    if problems := faults(created, base, tokens, is_basic):
        raise click.ClickException(
            f"Drip made it otherwise than asked. {' '.join(problems)} Nothing was deleted. Look at "
            "it in Drip."
        )


def _delete(drip: Drip, webhooks: Sequence[Webhook], next_step: str) -> None:
    """Delete as many as possible. Raises `ClickException` naming those left, and what to do."""
    failures = []
    for webhook in webhooks:
        try:
            drip.delete(webhook.id)
        except DripError as error:
            failures.append(f"{name_of(webhook)} is not deleted: {error}")
        else:
            click.echo(f"{name_of(webhook)} is deleted.")
    if failures:
        raise click.ClickException("\n".join([*failures, next_step]))


def _print_faults(
    webhooks: Sequence[Webhook], base: str, tokens: Sequence[str], is_basic: bool
) -> None:
    for line in describe_faults(webhooks, base, tokens, is_basic):
        click.echo(line, err=True)
    _print_replacement(base, is_basic)


def _print_replacement(base: str, is_basic: bool = False) -> None:
    click.echo(
        "To leave exactly one, as it should be, and delete the rest of these: "
        f"{_replace_command(base, is_basic)}",
        err=True,
    )


def _print_remedy(base: str | None, has_webhook: bool) -> None:
    """Print what to do about a webhook that is not there or not as it should be."""
    if has_webhook:
        _print_replacement(base or "BASE_URL")
        return
    click.echo(f"To create it: {CONNECT} {base or 'BASE_URL'}", err=True)
    if base is None:
        click.echo(
            "(One with a token that is not in DRIP_WEBHOOK_TOKEN is found by its address: "
            "flask drip check BASE_URL)",
            err=True,
        )


def _last_event(bridge: Bridge) -> str:
    try:
        with reader(bridge.engine) as connection:
            received_at = last_received(connection, bridge.drip_to_segment.destination.name)
    except SQLAlchemyError as error:
        return f"When the last event came is not known. DATABASE_URL: {describe(error)}"
    if received_at is None:
        return "No event is kept at the moment, so it is not known when the last one came."
    at = datetime.fromtimestamp(received_at, UTC)
    return f"The last event that is kept came at {at:%Y-%m-%d %H:%M} UTC."
