"""What analytics.js fetches before it posts: where to post, and what to load."""

from werkzeug.wrappers import Request


def settings_for(key: str, url: str) -> dict[str, object]:
    """The document with the settings: post to the bridge at this URL, load nothing from Segment,
    and post no figures about analytics.js itself."""
    protocol, _, host = url.partition("://")
    of_segment = {"apiKey": key, "apiHost": f"{host}/v1", "protocol": protocol}
    return {"integrations": {"Segment.io": of_segment}, "metrics": {"sampleRate": 0}}


def url_of(request: Request) -> str:
    """Where the bridge is reached, as the client says, or the proxy before it."""
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme).partition(",")[0]
    return f"{'https' if scheme == 'https' else 'http'}://{request.host}"
