"""The way to an address: what a desktop's proxy variables say, and what none of them may do."""

from __future__ import annotations

import pytest

from service.shared.network.proxies import STRAIGHT, ProxyRefused, Way, way_to
from trainer.base.own_machine import is_own_machine, without_proxy

OUTSIDE = "http://192.0.2.1:8000"
EVERY = {"ALL_PROXY": "http://proxy:3128", "http_proxy": "http://proxy:3128"}


def _way(url: str = OUTSIDE, **environment: str) -> Way:
    return way_to(url, environment, is_own=lambda host: host in ("127.0.0.1", "::1", "localhost", "10.0.0.5"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://10.0.0.5:8265", "mlruns"]
)
def test_own_addresses_are_reached_straight(url: str) -> None:
    """Whatever the variables say, and be it nonsense."""
    assert _way(url, **EVERY) == STRAIGHT
    assert _way(url, ALL_PROXY="socks://x", NO_PROXY="http://[") == STRAIGHT


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ({"http_proxy": "p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, None),
        ({"ALL_PROXY": "socks5://p:1080"}, "socks5://p:1080"),
        ({"all_proxy": "socks5h://p:1080"}, "socks5h://p:1080"),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "socks5://q:1"}, "http://p:1"),
        ({"http_proxy": "", "HTTP_PROXY": "http://p:1"}, None),
        ({"HTTP_PROXY": "http://user:secret@p:1"}, "http://user:secret@p:1"),
    ],
)
def test_others_as_the_variables_say(environment: dict[str, str], proxy: str | None) -> None:
    """The scheme's own variable before ALL_PROXY, lower case before upper, an empty one means none."""
    assert _way(**environment).proxy == proxy


@pytest.mark.parametrize(
    ("url", "entry", "straight"),
    [
        (OUTSIDE, "*", True),
        (OUTSIDE, "[::1]", False),
        (OUTSIDE, "::1", False),
        (OUTSIDE, "192.0.2.1", True),
        (OUTSIDE, "192.0.2.1:8000", True),
        (OUTSIDE, "192.0.2.1:80", False),
        (OUTSIDE, "192.0.2.0/24", True),
        (OUTSIDE, "10.0.0.0/8,  192.0.0.0/16", True),
        (OUTSIDE, "192.0.3.0/24", False),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]", True),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", True),
        ("http://[2001:db8::1]:8000", "2001:db8::/32", True),
        ("http://a.example.com", "example.com", True),
        ("http://a.example.com", ".example.com", True),
        ("http://a.example.com", "*.Example.com", True),
        ("http://a.example.com:80", "a.example.com:80", True),
        ("http://badexample.com", "example.com", False),
        ("http://a.example.com", "", False),
        ("http://a.example.com", " , ", False),
    ],
)
def test_exceptions(url: str, entry: str, straight: bool) -> None:
    """NO_PROXY: names with all names below them, addresses with or without brackets, networks, ports."""
    assert (_way(url, NO_PROXY=entry, **EVERY) == STRAIGHT) is straight


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (
            {"ALL_PROXY": "socks://127.0.0.1:1080"},
            "ALL_PROXY: socks:// is no proxy that can be used; allowed: ",
        ),
        ({"http_proxy": "ftp://p:1"}, "http_proxy: ftp:// is no proxy that can be used; allowed: "),
        ({"HTTP_PROXY": "http://p:x"}, "HTTP_PROXY: has no usable HOST:PORT; allowed: "),
        ({"HTTP_PROXY": "http://"}, "HTTP_PROXY: has no usable HOST:PORT; allowed: "),
        ({"HTTP_PROXY": "http://[::1"}, "HTTP_PROXY: has no usable HOST:PORT; allowed: "),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "[::1"}, "NO_PROXY: '[::1' is no host; allowed: "),
        ({"HTTP_PROXY": "http://p:1", "no_proxy": "a b"}, "no_proxy: 'a b' is no host; allowed: "),
    ],
)
def test_what_cannot_be_honoured_is_refused(environment: dict[str, str], told: str) -> None:
    """One line with the variable and what is allowed."""
    with pytest.raises(ProxyRefused) as caught:
        _way(**environment)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    """Neither in a refusal nor in the words of an error."""
    with pytest.raises(ProxyRefused) as caught:
        _way(HTTP_PROXY="http://user:secret@p:port")
    assert "secret" not in str(caught.value)
    assert _way(HTTP_PROXY="http://user:secret@p:1").words == " through the proxy of HTTP_PROXY"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST.", "::1", "[::1]", "0.0.0.0"]
)
def test_this_machine(host: str) -> None:
    """All of loopback, and the address that stands for every one of ours."""
    assert is_own_machine(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.com", "127.0.0.1.example.com", "a b"])
def test_other_machines(host: str) -> None:
    """Addresses of documentation are nobody's; a name is not looked up."""
    assert not is_own_machine(host)


def test_what_children_are_told() -> None:
    """Both variables, each entry once, without brackets; what the person has excepted stays so."""
    told = without_proxy({"NO_PROXY": "[::1],intern", "no_proxy": "intern,other"}, ["http://0.0.0.0:1", None])
    assert told == dict.fromkeys(("NO_PROXY", "no_proxy"), "::1,intern,other,127.0.0.1,localhost,0.0.0.0")
