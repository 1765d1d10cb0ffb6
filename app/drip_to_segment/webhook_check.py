"""See whether Drip has the bridge's webhook, as it should be, and create it."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.clients.drip import WHERE_THE_ACCOUNT_IS, WHERE_THE_TOKEN_IS, Drip
from app.clients.drip_answers import Webhook
from app.config.settings import Settings
from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.webhook_setup import faults, leads_to, masked, token_in, webhook_url

SWITCHED_ON_UNKNOWN = (
    "Whether it is switched on, Drip does not tell. It switches one off after 3 days of errors, "
    "and notifies the account's owner."
)

ALL_EVENTS = f"all {len(COLLECTIONS)} email events"


@dataclass(frozen=True)
class Checked:
    """What Drip has, in lines for people. No secret is in them."""

    has_webhook: bool
    is_good: bool
    """Whether there is exactly one webhook, as it should be."""
    lines: tuple[str, ...]


def missing_settings(settings: Settings) -> list[str]:
    """What has to be set before Drip can be asked, and where to find it."""
    missing = []
    if not _api_token(settings):
        missing.append(f"DRIP_API_TOKEN: {WHERE_THE_TOKEN_IS}")
    if not settings.drip_account_id:
        missing.append(f"DRIP_ACCOUNT_ID: {WHERE_THE_ACCOUNT_IS}")
    return missing


def drip_client(settings: Settings) -> Drip | None:
    """A client for the account that is set. None if anything is missing."""
    account, token = settings.drip_account_id, _api_token(settings)
    if not account or not token:
        return None
    return Drip(account, token, settings.tokens_for(account), settings.drip_api_url)


def check_webhook(drip: Drip, settings: Settings, base: str | None) -> Checked:
    """Ask Drip. Without a `base` the webhook is known by its token alone. Raises `DripError`."""
    tokens = settings.tokens_for(settings.drip_account_id)
    webhooks = of_bridge(drip.webhooks(), base, tokens)
    if not webhooks:
        line = f"Account {settings.drip_account_id} has no webhook for this bridge."
        return Checked(False, False, (line,))
    if len(webhooks) > 1 or faults(webhooks[0], base, tokens):
        return Checked(True, False, tuple(describe_faults(webhooks, base, tokens)))
    line = f"{name_of(webhooks[0])} is as it should be: {ALL_EVENTS}."
    return Checked(True, True, (line, SWITCHED_ON_UNKNOWN))


def create_webhook(drip: Drip, settings: Settings, base: str) -> Checked:
    """Create the webhook if Drip has none for the bridge at `base`. One that differs is left alone.
    Raises `DripError`."""
    checked = check_webhook(drip, settings, base)
    if checked.has_webhook:
        return checked
    tokens = settings.tokens_for(settings.drip_account_id)
    created = drip.create(webhook_url(base, tokens[0]), COLLECTIONS)
    if faults(created, base, tokens):
        return Checked(True, False, tuple(describe_faults([created], base, tokens)))
    return Checked(True, True, (f"{name_of(created)} is created: {ALL_EVENTS}.",))


def of_bridge(
    webhooks: Sequence[Webhook], base: str | None, tokens: Sequence[str]
) -> list[Webhook]:
    """The webhooks that lead to the bridge at `base`, or have one of the tokens."""
    return [
        webhook
        for webhook in webhooks
        if (base and leads_to(base, webhook.post_url)) or token_in(webhook.post_url) in tokens
    ]


def describe_faults(
    webhooks: Sequence[Webhook], base: str | None, tokens: Sequence[str], is_basic: bool = False
) -> list[str]:
    """A line for each webhook and, indented, for each of its faults."""
    lines = []
    for webhook in webhooks:
        lines.append(f"{name_of(webhook)}:")
        found = faults(webhook, base, tokens, is_basic) or ["It is as it should be."]
        lines += [f"  {fault}" for fault in found]
    if len(webhooks) > 1:
        lines.append(
            f"These are {len(webhooks)} webhooks for one bridge: events come more than once, "
            "and are kept once."
        )
    return lines


def name_of(webhook: Webhook) -> str:
    """Its id and its URL, without secrets."""
    return f"Webhook {webhook.id} ({masked(webhook.post_url)})"


def _api_token(settings: Settings) -> str | None:
    return settings.drip_api_token or settings.drip_api_tokens.get(settings.drip_account_id or "")
