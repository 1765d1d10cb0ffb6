"""Where gunicorn listens, and whom it then takes a caller for."""

import socket
from pathlib import Path

import pytest
from flask import Flask, request

from app.config.listening import all_interfaces, check_port_is_free, explain, loopback
from app.config.settings import load_settings
from app.errors import ConfigError


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


TOKEN = "a-token-for-the-tests"
EVERYWHERE, ALONE = all_interfaces(5000), loopback(5000)


@pytest.mark.parametrize(
    ("process", "file", "bind"),
    [
        ({"PORT": "5000", "DRIP_WEBHOOK_TOKEN": TOKEN}, {}, EVERYWHERE),
        ({"PORT": "5000"}, {}, ALONE),
        ({"PORT": "5000"}, {"DRIP_WEBHOOK_TOKEN": TOKEN}, ALONE),
        # as honcho does with the file
        ({"PORT": "5000", "DRIP_WEBHOOK_TOKEN": TOKEN}, {"DRIP_WEBHOOK_TOKEN": TOKEN}, ALONE),
        ({"PORT": "5000"}, {"DYNO": "web.1"}, ALONE),
        ({"DRIP_WEBHOOK_TOKEN": TOKEN}, {"PORT": "5000"}, ALONE),
        ({}, {"PORT": "5000", "DRIP_WEBHOOK_TOKEN": TOKEN}, ALONE),
        ({"PORT": "5000", "PUBLIC_URL": "https://b.example.org"}, {}, ALONE),
    ],
)
def test_all_interfaces_need_a_port_and_a_token_in_the_environment(
    process: dict[str, str],
    file: dict[str, str],
    bind: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody's laptop, nor a bridge behind a proxy, is opened by a port or an address alone."""
    for name, value in process.items():
        monkeypatch.setenv(name, value)
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in file.items()))

    settings = load_settings()

    assert settings.bind == bind
    assert (settings.inspector_password is None) == (bind == EVERYWHERE)


def test_a_dyno_is_reached_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIP_WEBHOOK_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", "postgres://bridge@127.0.0.1/bridge")
    monkeypatch.setenv("DYNO", "web.1")
    Path(".env").write_text("PORT=5000\n")

    assert load_settings().bind == EVERYWHERE


def test_it_is_said_who_can_reach_the_bridge_and_how_to_change_it() -> None:
    assert explain(ALONE).startswith("listening for this machine only.")
    assert "set PORT and DRIP_WEBHOOK_TOKEN in its environment" in explain(ALONE)
    for bind in (("0.0.0.0:5000",), ("[::]:5000",), ("0.0.0.0:5000", "[::]:5000")):
        assert explain(bind).startswith("listening at every address, because")
        assert "set the token in .env" in explain(bind)


def test_a_port_that_is_taken_is_reported_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        host, port = other.getsockname()
        with pytest.raises(ConfigError, match=f"Port {port} is taken.* PORT={port + 1} make run"):
            check_port_is_free(host, port)
    check_port_is_free(host, port)


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
