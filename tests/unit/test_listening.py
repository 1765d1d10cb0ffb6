"""Where gunicorn listens, and whom it then takes a caller for."""

import socket

import pytest
from flask import Flask, request

from app.config.listening import all_interfaces, loopback
from app.config.settings import load_settings


def reaches(family: socket.AddressFamily, host: str, address: str) -> bool:
    """Whether a server that listens at `address`, as gunicorn's does, is reached at the host."""
    bound, port = address.rsplit(":", 1)
    with (
        socket.socket(socket.AF_INET6 if "[" in bound else socket.AF_INET) as server,
        socket.socket(family) as caller,
    ):
        server.bind((bound.strip("[]"), int(port)))
        server.listen()
        caller.settimeout(5)
        return caller.connect_ex((host, server.getsockname()[1])) == 0


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_everywhere_is_reached_over_ipv4() -> None:
    assert any(reaches(socket.AF_INET, "127.0.0.1", address) for address in all_interfaces(0))


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_everywhere_is_reached_over_ipv6() -> None:
    assert any(reaches(socket.AF_INET6, "::1", address) for address in all_interfaces(0))


def test_a_machine_of_ones_own_is_not_reached_from_others() -> None:
    assert loopback(8001) == ("127.0.0.1:8001",)


def test_a_platforms_port_is_listened_at_all_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIP_WEBHOOK_TOKEN", "a-token-for-the-tests")
    monkeypatch.setenv("PORT", "5000")

    assert load_settings().bind == all_interfaces(5000)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_caller_over_ipv4_has_its_own_address(app: Flask, peer: str, address: str) -> None:
    @app.get("/peer")
    def tell() -> str:
        return str(request.remote_addr)

    assert app.test_client().get("/peer", environ_base={"REMOTE_ADDR": peer}).text == address
