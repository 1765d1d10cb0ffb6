"""What is wrong with a webhook of ours, in sentences that say what comes of it."""

from collections.abc import Iterator, Sequence

from app.cli.webhook_url import PATH, has_token_in_query, is_exact, leads_to, masked, token_in
from app.drip import Webhook
from app.source.collections import COLLECTIONS

RECEIVED = "subscriber.received_email"

IN_QUERY = "Its token is in the query of its URL, which proxies log."


def faults(
    webhook: Webhook, base: str | None, tokens: Sequence[str], is_basic: bool = False
) -> list[str]:
    """None for a webhook that posts what it should, where it should, with our first token.

    Without a `base` any host will do; with `is_basic` the token may not be in the query.
    """
    return [
        *_address_faults(webhook.post_url, base),
        *([IN_QUERY] if is_basic and has_token_in_query(webhook.post_url) else []),
        *_token_faults(token_in(webhook.post_url), tokens),
        *_event_faults(webhook),
    ]


def _address_faults(post_url: str, base: str | None) -> Iterator[str]:
    if base is not None and not leads_to(base, post_url):
        yield f"It posts to {masked(post_url)}, not to the bridge at {base}."
    elif not is_exact(post_url):
        yield f"Its path is not {PATH} to the letter: the bridge answers 404 there."


def _token_faults(token: str | None, tokens: Sequence[str]) -> Iterator[str]:
    if token is None:
        yield "It carries no token: the bridge refuses what it posts."
    elif token not in tokens:
        yield (
            "Its token is not in DRIP_WEBHOOK_TOKEN: a bridge with these settings refuses what it "
            "posts."
        )
    elif token != tokens[0]:
        yield (
            "Its token is not the first of DRIP_WEBHOOK_TOKEN: what it posts is refused once that "
            "one is taken out."
        )


def _event_faults(webhook: Webhook) -> Iterator[str]:
    # of received_email the flag alone tells whether it is sent (docs/facts.md § 1)
    if not webhook.includes_received_email:
        yield f"It is without include_received_email: Drip leaves out {RECEIVED}."
    if missing := COLLECTIONS.keys() - webhook.events - {RECEIVED}:
        yield f"It leaves out {', '.join(sorted(missing))}."
    if others := webhook.events - COLLECTIONS.keys():
        yield f"It posts what the bridge ignores: {', '.join(sorted(others))}."
    if webhook.is_on is False:
        yield "Drip says that it is switched off."
