"""What every answer of the inspector tells the browser: take nothing from elsewhere, keep nothing.

The pages show what strangers wrote. Should one of them ever get past the escaping, the browser
still runs no script that is not a file of ours, and asks no other host for anything.
"""

from flask import Blueprint, Response, request

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # an address may carry the email that was searched for
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def register(blueprint: Blueprint) -> None:
    """Put them on every answer, errors and redirects among them."""

    @blueprint.after_request
    def put_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        # static files keep Flask's "no-cache": kept, but asked for again, so an upgrade is seen
        if request.endpoint != "inspector.static":
            response.headers["Cache-Control"] = "no-store"
        return response
