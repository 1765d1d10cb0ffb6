"""Explain a failed request as something an operator can fix: an address, a proxy, a certificate."""

import re
import socket
import ssl
from collections.abc import Iterator

from requests import exceptions

TEMPORARY = frozenset({socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""DNS errors that may pass by themselves."""

CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""TLS errors of a connection that was merely lost, as any may be."""


def what_to_check(error: Exception, address: str) -> str | None:
    """Return what to check, naming the variables, or None if the error may pass by itself.

    `address` is the variable that names the host. Nothing that could be a secret is quoted.
    """
    causes = list(_causes(error))
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema):
        return (
            f"an address that cannot be used: check {address}, HTTPS_PROXY and ALL_PROXY. "
            "A SOCKS proxy needs the package PySocks"
        )
    if isinstance(error, exceptions.ProxyError):
        return f"the proxy lets nothing through{_proxy_answer(causes)}: check HTTPS_PROXY"
    if type(error) is OSError and error.errno is None:  # how `requests` reports it
        return "no such file of certificates: check SSL_CERT_FILE and REQUESTS_CA_BUNDLE"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({cause.verify_message}): check {address}, and "
                "SSL_CERT_FILE if a company's own certificates are used on the way"
            )
        if isinstance(cause, socket.gaierror) and cause.errno not in TEMPORARY:
            return f"no such host: check {address}, HTTPS_PROXY and the DNS"
    if isinstance(error, exceptions.SSLError) and not any(
        isinstance(cause, CUT_OFF) for cause in causes
    ):
        return f"no TLS with it: check {address}, HTTPS_PROXY and SSL_CERT_FILE"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes: `requests` and urllib3 wrap one in another."""
    while error is not None:
        yield error
        inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        error = getattr(error, "reason", None) or inner or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return


def _proxy_answer(causes: list[BaseException]) -> str:
    """Return a proxy's answer to CONNECT, which only the text of the error has."""
    match = re.search(r"Tunnel connection failed: ([0-9]{3})\b", str(causes[-1]))
    if not match:
        return ""
    login = ", it wants a login" if match[1] == "407" else ""
    return f" (HTTP {match[1]}{login})"
