"""Addresses for gunicorn to listen on."""

import errno
import socket
from collections.abc import Mapping

from app.errors import ConfigError

DEFAULT_PORT = 8000


def is_on_platform(process: Mapping[str, str], file: Mapping[str, str]) -> bool:
    """Return whether a platform runs the bridge, by the process's environment and the `.env` file.

    Heroku sets DYNO. Others set PORT alone, as people do on a laptop for another port. The token
    tells them apart: on a platform it is set in the environment. One in `.env` does not count, even
    if a Procfile runner has put that file into the environment.
    """
    has_both = {"PORT", "DRIP_WEBHOOK_TOKEN"} <= process.keys()
    return "DYNO" in process or (has_both and "DRIP_WEBHOOK_TOKEN" not in file)


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


def explain(bind: tuple[str, ...]) -> str:
    """Say who can reach these addresses, why, and how to change that."""
    if bind == loopback(port_of(bind)):
        return (
            "listening for this machine only. If a platform or a container runs the bridge, set "
            "PORT and DRIP_WEBHOOK_TOKEN in its environment, the token not in .env: then it "
            "listens at every address"
        )
    return (
        "listening at every address, because the environment has DYNO, or PORT and "
        "DRIP_WEBHOOK_TOKEN. To listen for this machine only, set the token in .env"
    )


def check_port_is_free(host: str, port: int) -> None:
    """Raise `ConfigError` if another process listens at this address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"Port {port} is taken: another process listens on it, perhaps another bridge. "
                    f"Stop that one, or choose another port: PORT={port + 1} make run"
                ) from None


def port_of(bind: tuple[str, ...]) -> int:
    """Return the port, which all these addresses share."""
    return int(bind[0].rpartition(":")[2])
