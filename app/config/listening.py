"""Addresses for gunicorn to listen on."""

import socket

DEFAULT_PORT = 8000


def loopback(port: int = DEFAULT_PORT) -> tuple[str, ...]:
    """Listen for this machine only: a laptop, or one with a proxy in front."""
    return (f"127.0.0.1:{port}",)


def all_interfaces(port: int) -> tuple[str, ...]:
    """Listen on every address, of IPv6 too if the system has it.

    Some platforms' private networks have nothing but IPv6.
    """
    any4, any6 = f"0.0.0.0:{port}", f"[::]:{port}"
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            takes_both = not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return (any4,)
    return (any6,) if takes_both else (any4, any6)


def port_of(bind: tuple[str, ...]) -> int:
    """Return the port, which all these addresses share."""
    return int(bind[0].rpartition(":")[2])
