"""Why no answer came, as far as a person can mend it: an address, a proxy, a certificate. Pure."""

import re
import socket
import ssl
from collections.abc import Iterator

from requests import exceptions

PASSING = frozenset({socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""Of the search for a host's address: nothing was found out, and will be later."""

CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The connection ended in the midst of TLS, as any may."""


def what_to_check(error: Exception, address: str) -> str | None:
    """In a sentence that names the variables, or None where it may pass by itself. `address` is the
    variable that names the host. Nothing of the error is quoted that could be a secret.
    """
    causes = list(_causes(error))
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema):
        return (
            f"an address that cannot be used: check {address}, HTTPS_PROXY and ALL_PROXY. "
            "A SOCKS proxy needs the package PySocks"
        )
    if isinstance(error, exceptions.ProxyError):
        return f"the proxy lets nothing through{_proxys_answer(causes)}: check HTTPS_PROXY"
    if type(error) is OSError and error.errno is None:  # how `requests` reports it
        return "no such file of certificates: check SSL_CERT_FILE and REQUESTS_CA_BUNDLE"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({cause.verify_message}): check {address}, and "
                "SSL_CERT_FILE if a company's own certificates are used on the way"
            )
        if isinstance(cause, socket.gaierror) and cause.errno not in PASSING:
            return f"no such host: check {address}, HTTPS_PROXY and the DNS"
    if isinstance(error, exceptions.SSLError) and not any(
        isinstance(cause, CUT_OFF) for cause in causes
    ):
        return f"no TLS with it: check {address}, HTTPS_PROXY and SSL_CERT_FILE"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came from: `requests` and urllib3 wrap one into another."""
    while error is not None:
        yield error
        inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        error = getattr(error, "reason", None) or inner or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return


def _proxys_answer(causes: list[BaseException]) -> str:
    """A proxy's answer to CONNECT, which only the text of the error contains."""
    found = re.search(r"Tunnel connection failed: ([0-9]{3})\b", str(causes[-1]))
    if not found:
        return ""
    login = ", it wants a login" if found[1] == "407" else ""
    return f" (HTTP {found[1]}{login})"
