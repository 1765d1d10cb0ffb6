"""Check that the API tokens for Segment to Drip give access to their accounts."""

import click

from app.clients.drip import Drip, DripError
from app.config.settings import Settings

MARKETING_EMAIL_ONLY = (
    "People who are new to Drip come as unsubscribed (DRIP_INITIAL_STATUS). On "
    "Marketing-Email-Only accounts Drip counts them as inactive, and records nothing of them: "
    "there set DRIP_INITIAL_STATUS=active, if these people agreed to get email."
)


def check_access(settings: Settings) -> bool:
    """Print of each account whether its token is good. Returns whether all are."""
    account, token = settings.drip_account_id, settings.drip_api_token
    clients = {
        each: Drip(each, own, (), settings.drip_api_url, "DRIP_API_TOKENS")
        for each, own in settings.drip_api_tokens.items()
    }
    if account and token and account not in clients:  # the one in DRIP_API_TOKENS is used
        clients[account] = Drip(account, token, (), settings.drip_api_url)
    if not clients:
        click.echo(
            "Segment to Drip: no account has an API token. Set DRIP_ACCOUNT_ID and DRIP_API_TOKEN, "
            "or DRIP_API_TOKENS.",
            err=True,
        )
        return False
    are_good = [_check(each, drip) for each, drip in sorted(clients.items())]
    if settings.drip_initial_status == "unsubscribed":
        click.echo(MARKETING_EMAIL_ONLY)
    return all(are_good)


def _check(account: str, drip: Drip) -> bool:
    try:
        drip.user()
        found = next((each for each in drip.accounts() if each.id == account), None)
    except DripError as error:
        click.echo(f"Account {account}: {error}", err=True)
        return False
    if found is None:
        click.echo(
            f"Account {account}: its API token is good, but gives no access to this account. Set "
            "the token of one of its users, or correct the account id.",
            err=True,
        )
        return False
    click.echo(f"Account {account}{f' ({found.name})' if found.name else ''}: its token is good.")
    return True
