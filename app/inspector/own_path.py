"""Where to go after the login: a path of ours, and never another site."""

import re
from urllib.parse import quote

from werkzeug.wrappers import Request

# Printable ASCII from one "/" on. Browsers read "//host", "/\host" and "/<tab>/host" as a host.
_OWN = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def own_path(text: str | None) -> str:
    """The text where it is a path of ours, else "/"."""
    return text if text and _OWN.fullmatch(text) else "/"


def path_of(request: Request) -> str:
    """What was asked for, to come back to: path and query, without the host."""
    query = quote(request.query_string, safe="%=&+,:/?-._~!$'()*;@")
    return own_path(quote(request.path) + ("?" + query if query else ""))
