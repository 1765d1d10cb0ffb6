"""Which URLs lead to the bridge, and what they show."""

import pytest

from app.drip_to_segment.webhook_setup import leads_to, masked, token_in
from tests.support.drip_account import BASE


@pytest.mark.parametrize(
    ("post_url", "leads"),
    [
        (f"{BASE}/webhooks/drip", True),
        (f"{BASE}/webhooks/drip/?token=x", True),
        (f"{BASE}:443/webhooks/drip", True),
        ("HTTPS://My-Bridge.Example.COM/webhooks/drip", True),
        (f" {BASE}/webhooks/drip ", True),
        ("https://ana:x@my-bridge.example.com/webhooks/drip", True),
        ("http://my-bridge.example.com/webhooks/drip", False),
        ("http://my-bridge.example.com:443/webhooks/drip", False),
        (f"{BASE}:8443/webhooks/drip", False),
        (f"{BASE}/webhooks/drip2", False),
        (f"{BASE}/Webhooks/Drip", False),
        (f"{BASE}.evil.example/webhooks/drip", False),
        ("https://my-bridge.example.com@evil.example/webhooks/drip", False),
        ("https://[x/webhooks/drip", False),
        ("https://my-bridge.example.com:x/webhooks/drip", False),
        ("", False),
    ],
)
def test_which_urls_lead_to_the_bridge(post_url: str, leads: bool) -> None:
    assert leads_to(BASE, post_url) is leads
    assert leads_to(f"{BASE.upper()}:443/", post_url) is leads


@pytest.mark.parametrize(
    ("post_url", "token", "shown"),
    [
        ("https://a/b?token=x%2By", "x+y", "https://a/b?token=…"),
        ("https://a/b?n=1&token=x&token=y", "x", "https://a/b?token=…"),
        ("https://me:x%2By@a:8443/b", "x+y", "https://a:8443/b"),
        ("https://me:x@a/b?token=", "x", "https://a/b?token=…"),
        ("https://a/b?key=x", None, "https://a/b?…"),
        ("https://a/b", None, "https://a/b"),
        ("https://[a/b?token=x", None, "(not a URL)"),
    ],
)
def test_the_token_of_a_url_is_found_and_never_shown(
    post_url: str, token: str | None, shown: str
) -> None:
    assert (token_in(post_url), masked(post_url)) == (token, shown)
