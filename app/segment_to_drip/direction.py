"""Build the direction from its settings."""

import time
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Engine

from app.config.settings import Settings
from app.direction import Direction, build_direction
from app.monitoring.stats import Quota, Stats
from app.outbox.loads import Loads
from app.outbox.messages import Ignored, Message
from app.outbox.ordered import OrderedStore
from app.segment_to_drip.description import describe
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.mapping.mappings import load
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.expiry import Expiry
from app.segment_to_drip.people.identities import Identities
from app.segment_to_drip.sending.budget import DatabaseBudget
from app.segment_to_drip.sending.delivery import DripDelivery
from app.segment_to_drip.sending.estimate import earliest_end
from app.segment_to_drip.sending.operations import ALONE, Bucket
from app.segment_to_drip.translate import translate

LONG = 600.0
"""Seconds for which calls wait at least for Drip's limits if the pages are to say so."""

COLLECTIONS = ("identify", "track", "order", "campaign", "unsubscribe", "delete", "alias")


def options_of(settings: Settings) -> DripOptions:
    """What the settings say of the translation."""
    return DripOptions(
        initial_status=settings.drip_initial_status,
        value_unit=settings.drip_value_unit,
        track_email=settings.drip_track_email,
        allow_resubscribe=settings.drip_allow_resubscribe,
        campaign_id=settings.drip_campaign_id,
        double_optin=settings.drip_double_optin,
        skip_device_mode=settings.drip_skip_device_mode,
        orders=settings.drip_orders,
        order_provider=settings.drip_order_provider,
        audiences=settings.drip_audiences,
        delete=settings.drip_delete,
        change_address=settings.drip_change_address,
        consent_categories=settings.drip_consent_categories,
        default_account=settings.drip_account_id or "",
        mappings=load(settings.drip_mapping),
    )


def build_segment_to_drip(
    settings: Settings, engine: Engine, of_webhooks: Engine, loads: Loads | None = None
) -> Direction | None:
    """The direction over these two engines, which it may share with another. None if it is off."""
    if not settings.is_segment_to_drip_on:
        return None
    options = options_of(settings)
    budget = DatabaseBudget(engine, DripDestination.name, _limits(settings), time.time)
    account = settings.drip_account_id
    token = settings.drip_api_token or settings.drip_api_tokens.get(account or "")
    drip = DripDestination(
        settings.drip_api_tokens,
        (account, token) if account and token else None,
        budget,
        settings.drip_api_url,
    )
    identities = Identities(engine, drip.name, settings.drip_hold_hours * 3600)
    store = OrderedStore(engine, drip.name)
    settle_time = settings.drip_batch_settle * 60

    def translate_again(body: bytes, received_at: float, account: str) -> Message | Ignored:
        return translate(body, received_at, account, options)

    return build_direction(
        name="segment_to_drip",
        destination=drip,
        delivery=DripDelivery(store, drip, budget, identities, options, settle_time),
        store=store,
        of_webhooks=of_webhooks,
        translate=translate_again,
        describe=describe,
        collections=COLLECTIONS,
        may_expire=True,
        retry_delay=settle_time,
        tidy=Expiry(engine, drip.name).run,
        quotas=lambda: _quotas(budget, drip.accounts),
        ends=lambda stats: dict(_ends(stats, store, budget, drip.accounts)),
        loads=loads,
    )


def _quotas(budget: DatabaseBudget, accounts: Iterable[str]) -> Iterator[Quota]:
    for account in accounts:
        for bucket, left in budget.left(account).items():
            yield Quota(account, bucket, left.available, left.limit)


def _ends(
    stats: Stats, store: OrderedStore, budget: DatabaseBudget, accounts: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """The accounts whose calls wait long for Drip's limits → until when they do at the earliest."""
    own = frozenset(accounts)
    for each in stats.waiting:
        if each.account not in own or each.cause not in ("queued", "limited"):
            continue
        alone = store.count_waiting(each.account, ALONE)
        ends_at = earliest_end(each.count, alone, budget.slots(each.account))
        if ends_at and ends_at > time.time() + LONG:
            yield each.account, ends_at


def _limits(settings: Settings) -> Mapping[Bucket, int]:
    return {
        "requests": settings.drip_requests_per_hour,
        "batches": settings.drip_batches_per_hour,
    }
