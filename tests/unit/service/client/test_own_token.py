"""Where a client takes its token from, and where it does not send it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.client import RebalanceClient
from service.client.client import ApiError
from service.client.own_token import TokenRefused, token_for
from service.shared.tokens import new_secret

SECRET, OTHER = new_secret(), new_secret()
HTTPS, LOOPBACK, PLAIN = "https://lab.example", "http://127.0.0.1:8000", "http://lab.example"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory without a token."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def _keep(file: Path, text: str = SECRET + "\n", mode: int = 0o600) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_the_order_of_places(home: Path) -> None:
    """An argument, REBALANCE_TOKEN, the file that a variable names, the usual file; else none."""
    assert token_for(HTTPS, None, {}) is None
    _keep(home / ".config/rebalance/token")
    assert token_for(HTTPS, None, {}) == SECRET
    named = {"REBALANCE_TOKEN_FILE": str(_keep(home / "named", OTHER))}
    assert token_for(HTTPS, None, named) == OTHER
    assert token_for(HTTPS, None, {**named, "REBALANCE_TOKEN": SECRET}) == SECRET
    assert token_for(HTTPS, OTHER, {"REBALANCE_TOKEN": SECRET}) == OTHER
    for nothing in ("", " "):
        assert token_for(HTTPS, None, {**named, "REBALANCE_TOKEN": nothing}) is None
    assert token_for(HTTPS, "", {"REBALANCE_TOKEN": SECRET}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_use_is_refused(home: Path, mode: int) -> None:
    """The message has the command that mends it, and nothing of what is in the file."""
    file = _keep(home / ".config/rebalance/token", mode=mode)
    with pytest.raises(TokenRefused, match=f"chmod 600 {file}") as caught:
        token_for(LOOPBACK, None, {})
    assert SECRET not in str(caught.value)


def test_a_named_file_must_be_one(home: Path) -> None:
    """One that is not there, and a directory, are told by the variable's name."""
    (home / "directory").mkdir(mode=0o700)
    for name in ("missing", "directory"):
        with pytest.raises(TokenRefused, match=f"REBALANCE_TOKEN_FILE: .*{name}.*allowed: a"):
            token_for(LOOPBACK, None, {"REBALANCE_TOKEN_FILE": str(home / name)})


def test_what_is_no_token_is_told_before_anybody_is_asked(home: Path) -> None:
    """From each place, by its name, without the text."""
    mistyped = SECRET[:-1]
    file = _keep(home / "file", mistyped)
    environments = {"REBALANCE_TOKEN": mistyped, "REBALANCE_TOKEN_FILE": str(file)}
    for name, value in environments.items():
        with pytest.raises(TokenRefused, match=f"{name}: is no token") as caught:
            token_for(HTTPS, None, {name: value})
        assert mistyped not in str(caught.value)


@pytest.mark.parametrize(
    "url", [PLAIN, "http://192.0.2.1:8000", "http://localhost.lab.example", "HTTP://0.0.0.0"]
)
def test_it_goes_over_no_network_in_the_clear(url: str) -> None:
    """Plain http only to this machine itself, or where somebody says that the network is their own."""
    given = {"REBALANCE_TOKEN": SECRET}
    with pytest.raises(TokenRefused, match="plain http"):
        token_for(url, None, given)
    with pytest.raises(TokenRefused, match="plain http"):
        token_for(url, None, {**given, "REBALANCE_ALLOW_HTTP": "0"})
    assert token_for(url, None, {**given, "REBALANCE_ALLOW_HTTP": "1"}) == SECRET
    assert token_for(url, None, {}) is None
    with pytest.raises(TokenRefused, match="REBALANCE_ALLOW_HTTP: 'yes' is refused; allowed: 1, 0"):
        token_for(url, None, {**given, "REBALANCE_ALLOW_HTTP": "yes"})


@pytest.mark.parametrize("url", [HTTPS, LOOPBACK, "http://localhost:8000/rebalance", "http://[::1]:8000"])
def test_it_goes_where_nobody_can_read_it(url: str) -> None:
    """TLS, and this machine."""
    assert token_for(url, None, {"REBALANCE_TOKEN": SECRET}) == SECRET


def _answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)


def test_it_is_shown_with_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bearer token, and never elsewhere: not in the address."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "ok", "checks": {}})

    monkeypatch.setitem(os.environ, "REBALANCE_TOKEN", SECRET)
    with RebalanceClient(HTTPS, transport=_answering(answer)) as client:
        client.ready()
    (request,) = seen
    assert request.headers.get_list("authorization") == [f"Bearer {SECRET}"]
    assert SECRET not in str(request.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """A service, or who stands in its place, cannot have the token sent to another host."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(status, headers={"Location": "https://elsewhere.example/readyz"})

    client = RebalanceClient(HTTPS, token=SECRET, transport=_answering(answer))
    with client, pytest.raises(ApiError) as caught:
        client.ready()
    assert caught.value.status == status
    assert seen == [f"{HTTPS}/readyz"]
    assert SECRET not in str(caught.value)
