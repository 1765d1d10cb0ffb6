"""Map Drip's events and properties to Segment's names.

Sources: Drip's `_webhook_events.md`, Segment's email spec and Drip source
(docs/development/facts.md § 1, 2).
"""

from collections.abc import Mapping
from types import MappingProxyType

COLLECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "subscriber.received_email": "Email Delivered",  # reached the receiving server
        "subscriber.opened_email": "Email Opened",
        "subscriber.clicked_email": "Email Link Clicked",
        "subscriber.unsubscribed_all": "Email Unsubscribed",  # from everything
        "subscriber.unsubscribed_from_campaign": "Email Unsubscribed",  # from one campaign
        "subscriber.bounced": "Email Bounced",  # the receiving server could or would not take it
        "subscriber.complained": "Email Marked as Spam",
    }
)
"""Drip event → collection, which is the exact event name of the track call."""

HAPPEN_AGAIN = frozenset({"subscriber.opened_email", "subscriber.clicked_email"})
"""Events that a person may cause any number of times with one email."""

DOCUMENTED_PROPERTIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "delivery_id": ("properties", "delivery_id"),
        "email_id": ("properties", "email_id"),
        "email_subject": ("properties", "email_subject"),
        "campaign_id": ("properties", "campaign_id"),
        "campaign_name": ("properties", "campaign_name"),
        "url": ("properties", "link_url"),
        # Segment's destinations look for these two in the context, with this spelling
        "ip_address": ("context", "ip"),
        "user_agent": ("context", "userAgent"),
    }
)
"""Drip property → place and name in the track call. All are documented as strings, and are sent as
strings."""
