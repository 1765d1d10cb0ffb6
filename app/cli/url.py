"""`url`: print the webhooks' URLs, how to try them, and the inspector's URL."""

from urllib.parse import quote

import click
from flask.cli import with_appcontext

from app.bridge import bridge_of
from app.config.listening import port_of
from app.config.settings import Settings
from app.drip_to_segment.webhook_setup import webhook_url
from app.web.login_link import LASTS, make_ticket, session_key


@click.command()
@click.argument("base", required=False)
@with_appcontext
def url(base: str | None) -> None:
    """Print the webhooks' and the inspector's URL, secrets included, as reached at BASE.

    Without BASE it is PUBLIC_URL, or else this machine.
    """
    settings = bridge_of().settings
    base = base or settings.public_url or f"http://127.0.0.1:{port_of(settings.bind)}"
    webhook = webhook_url(base, settings.webhook_tokens[0])
    click.echo(f"\nWebhook URL, for Drip and nobody else:\n\n  {webhook}\n")
    basic = webhook_url(base, settings.webhook_tokens[0], is_basic=True)
    click.echo(
        f"The same by HTTP Basic, which proxies do not log, if Drip takes it:\n\n  {basic}\n"
    )
    click.echo(f"Try it:\n\n  curl --data-binary @samples/opened_email.json '{webhook}'\n")
    click.echo(_describe_segment_to_drip(base.rstrip("/"), settings) + "\n")
    click.echo(_describe_inspector(base.rstrip("/"), settings) + "\n")
    click.echo(_describe_segment(settings) + "\n")


def _describe_segment_to_drip(base: str, settings: Settings) -> str:
    """Describe the ways in, and where what comes goes."""
    if not settings.is_segment_to_drip_on:
        return (
            "Segment to Drip is off: it needs SEGMENT_WEBHOOK_SECRET, of at least 16 characters,\n"
            "or TRACKING_WRITE_KEYS for Segment's SDKs."
        )
    described = [_describe_drip(settings)]
    if settings.tracking_write_keys:
        described.insert(0, _describe_sdks(base, settings))
    if settings.segment_webhook_secrets:
        described.insert(0, _describe_webhook(base, settings))
    return "\n\n".join(described)


def _describe_sdks(base: str, settings: Settings) -> str:
    """Describe what Segment's SDKs are given in place of Segment."""
    account = settings.drip_account_id
    keys = "".join(
        f"  Write key   {key}   for Drip account {of or account or '(none is set)'}\n"
        for key, of in settings.tracking_write_keys.items()
    )
    return (
        "For Segment's SDKs, with examples in docs/destination.md:\n\n"
        f"  Host        {base}\n{keys}\n"
        f"Try it:\n\n  curl --user '{next(iter(settings.tracking_write_keys))}:' "
        f"--data-binary @samples/segment/identify.json '{base}/v1/identify'"
    )


def _describe_webhook(base: str, settings: Settings) -> str:
    """Describe what to paste into Segment's destination "Webhooks (Actions)"."""
    secret = settings.segment_webhook_secrets[0]
    webhook = f"{base}/webhooks/segment"
    of_others = "".join(
        f"  URL             {webhook}/{account}   for Drip account {account}\n"
        for account in settings.drip_api_tokens
        if account != settings.drip_account_id
    )
    return (
        'For Segment\'s destination "Webhooks (Actions)", step by step in docs/destination.md:'
        f"\n\n  Shared Secret   {secret}\n"
        f"  URL             {webhook}\n"
        f"{of_others}"
        "  Method          POST\n"
        f"  Headers         Authorization: Bearer {secret}\n"
        "  Data            $.\n"
        "  Batching        may be on, with up to 4,000 calls a batch\n\n"
        "Try it:\n\n"
        "  curl --data-binary @samples/segment/identify.json "
        f"'{webhook}?token={quote(secret, safe='')}'"
    )


def _describe_drip(settings: Settings) -> str:
    accounts = [*settings.drip_api_tokens]
    if settings.drip_account_id and settings.drip_api_token:
        accounts.append(settings.drip_account_id)
    if accounts:
        names = ", ".join(dict.fromkeys(sorted(accounts)))
        return f"Segment's calls go to Drip at {settings.drip_api_url}: account {names}."
    return (
        "No Drip account with its API token is set: Segment's calls are kept and held, and go out\n"
        "once DRIP_ACCOUNT_ID and DRIP_API_TOKEN are set and the bridge is started again."
    )


def _describe_inspector(base: str, settings: Settings) -> str:
    """Describe the inspector's URL. It has no password, because browsers keep URLs.

    If the password was generated, the URL has a ticket, which logs in once.
    """
    password = settings.inspector_password
    if password is None:
        return "The inspector is off: it needs INSPECTOR_PASSWORD, of at least 12 characters."
    if settings.inspector_link:
        ticket = make_ticket(session_key(password, settings.webhook_tokens))
        how_often = f"once, within {LASTS // 60} minutes"
        return (
            f"Look where events are, for you and nobody else; {how_often}:\n\n"
            f"  {base}/login?ticket={ticket}"
        )
    return f"Look where events are, with INSPECTOR_PASSWORD:\n\n  {base}/"


def _describe_segment(settings: Settings) -> str:
    if settings.write_key or settings.write_keys:
        return f"Events go to Segment at {settings.segment_host}."
    return (
        "No write key is set: Drip's events are kept and held, and go out once SEGMENT_WRITE_KEY\n"
        "is set (in the environment, or as a line of a .env file) and the bridge is started again."
    )
