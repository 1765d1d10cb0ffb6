"""What the bridge runs with, in a few fields for the log: no secret, and no personal data."""

from urllib.parse import urlsplit

from app.config.settings import Settings
from app.version import VERSION


def summary(settings: Settings) -> dict[str, str]:
    """Return version, database, where messages go, and for whom there are keys."""
    fields = {
        "version": VERSION,
        "database": settings.database_url.get_backend_name(),
        "segment": urlsplit(settings.segment_host).netloc,
        "write_keys": _write_keys(settings),
    }
    if not settings.is_segment_to_drip_on:
        return {**fields, "drip": "off"}
    drip = urlsplit(settings.drip_api_url).netloc
    return {**fields, "drip": drip, "drip_accounts": _drip_accounts(settings)}


def _write_keys(settings: Settings) -> str:
    own = len(settings.write_keys)
    if settings.write_key is None:
        return f"for {own} accounts" if own else "no write key: events are held"
    return f"for {own} accounts, and one for all others" if own else "one for all accounts"


def _drip_accounts(settings: Settings) -> str:
    accounts = {*settings.drip_api_tokens}
    if settings.drip_account_id and settings.drip_api_token:
        accounts.add(settings.drip_account_id)
    return str(len(accounts)) if accounts else "no API token: calls are held"
