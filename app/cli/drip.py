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
from app.clients.drip import WHERE_THE_ACCOUNT_IS, WHERE_THE_TOKEN_IS, Drip, DripError
from app.clients.drip_answers import Webhook
from app.config.fields import Host
from app.config.settings import Settings
from app.database.engine import describe
from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.webhook_setup import (
    faults,
    is_public,
    leads_to,
    masked,
    token_in,
    webhook_url,
)
from app.outbox.traffic import last_received

CONNECT = "flask drip connect"

SWITCHED_ON_UNKNOWN = (
    "Whether it is switched on, Drip does not tell. It switches one off after 3 days of errors, "
    "and notifies the account's owner."
)


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
    webhooks = _ours(drip.webhooks(), base, tokens)
    kept = next((each for each in webhooks if not faults(each, base, tokens, basic)), None)
    others = [webhook for webhook in webhooks if webhook is not kept]
    if others and not replace:
        _print_faults(webhooks, base, tokens, basic)
        raise SystemExit(1)
    if kept is None:
        _create(drip, base, tokens, basic)
    else:
        click.echo(f"{_name(kept)} is there already, and as it should be. It was left alone.")
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
    tokens = settings.tokens_for(settings.drip_account_id)
    has_access = not settings.segment_webhook_secrets or check_access(settings)
    webhooks = _ours(_client(settings).webhooks(), base_url, tokens)
    if not webhooks:
        _print_absence(settings, base_url)
        raise SystemExit(1)
    if len(webhooks) > 1 or faults(webhooks[0], base_url, tokens):
        _print_faults(webhooks, base_url, tokens)
        raise SystemExit(1)
    click.echo(f"{_name(webhooks[0])} is as it should be: all {len(COLLECTIONS)} email events.")
    click.echo(SWITCHED_ON_UNKNOWN)
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
    webhooks = _ours(drip.webhooks(), base_url, tokens)
    if not webhooks:
        where = f"leads to {base_url}" if base_url else "has a token of this bridge"
        click.echo(f"Nothing to delete: no webhook of account {settings.drip_account_id} {where}.")
        return
    for webhook in webhooks:
        click.echo(f"{_name(webhook)}")
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
    account = settings.drip_account_id
    token = settings.drip_api_token or settings.drip_api_tokens.get(account or "")
    if token and account:
        return Drip(account, token, settings.tokens_for(account), settings.drip_api_url)
    lines = ["Set this first, in the environment or as a line of a .env file:"]
    if not token:
        lines.append(f"  DRIP_API_TOKEN: {WHERE_THE_TOKEN_IS}")
    if not account:
        lines.append(f"  DRIP_ACCOUNT_ID: {WHERE_THE_ACCOUNT_IS}")
    raise click.ClickException("\n".join(lines))


def _ours(webhooks: Sequence[Webhook], base: str | None, tokens: Sequence[str]) -> list[Webhook]:
    """Return the webhooks that lead to the bridge at `base`, or have one of the tokens."""
    return [
        webhook
        for webhook in webhooks
        if (base and leads_to(base, webhook.post_url)) or token_in(webhook.post_url) in tokens
    ]


def _replace_command(base: str, is_basic: bool) -> str:
    return f"{CONNECT} {base}{' --basic' if is_basic else ''} --replace"


def _create(drip: Drip, base: str, tokens: Sequence[str], is_basic: bool) -> None:
    """Create the webhook. Raises `ClickException` if Drip made it otherwise than asked."""
    created = drip.create(webhook_url(base, tokens[0], is_basic), COLLECTIONS)
    click.echo(f"{_name(created)} is created: all {len(COLLECTIONS)} email events.")
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
            failures.append(f"{_name(webhook)} is not deleted: {error}")
        else:
            click.echo(f"{_name(webhook)} is deleted.")
    if failures:
        raise click.ClickException("\n".join([*failures, next_step]))


def _print_faults(
    webhooks: Sequence[Webhook], base: str | None, tokens: Sequence[str], is_basic: bool = False
) -> None:
    for webhook in webhooks:
        click.echo(f"{_name(webhook)}:", err=True)
        for fault in faults(webhook, base, tokens, is_basic) or ["It is as it should be."]:
            click.echo(f"  {fault}", err=True)
    if len(webhooks) > 1:
        click.echo(
            f"These are {len(webhooks)} webhooks for one bridge: events come more than once, "
            "and are kept once.",
            err=True,
        )
    click.echo(
        "To leave exactly one, as it should be, and delete the rest of these: "
        f"{_replace_command(base or 'BASE_URL', is_basic)}",
        err=True,
    )


def _print_absence(settings: Settings, base: str | None) -> None:
    click.echo(f"Account {settings.drip_account_id} has no webhook for this bridge.", err=True)
    click.echo(f"To create it: {CONNECT} {base or 'BASE_URL'}", err=True)
    if base is None:
        click.echo(
            "(One with a token that is not in DRIP_WEBHOOK_TOKEN is found by its address: "
            "flask drip check BASE_URL)",
            err=True,
        )


def _last_event(bridge: Bridge) -> str:
    try:
        received_at = last_received(bridge.engine, bridge.drip_to_segment.destination.name)
    except SQLAlchemyError as error:
        return f"When the last event came is not known. DATABASE_URL: {describe(error)}"
    if received_at is None:
        return "No event is kept at the moment, so it is not known when the last one came."
    at = datetime.fromtimestamp(received_at, UTC)
    return f"The last event that is kept came at {at:%Y-%m-%d %H:%M} UTC."


def _name(webhook: Webhook) -> str:
    return f"Webhook {webhook.id} ({masked(webhook.post_url)})"
