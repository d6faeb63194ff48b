"""Which proxy leads to an address, as the environment's variables say: one answer for every HTTP client."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trainer.base.errors import RegionRebalanceError
from trainer.base.own_machine import NO_PROXY_VARIABLES, is_own_machine

_SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PROXIES = "http://, https://, socks5:// or socks5h://, each with HOST:PORT"
_HOSTS = "*, host names, addresses and networks such as 10.0.0.0/8, separated by commas"
_NAME = re.compile(r"(?:\*?\.)?([A-Za-z0-9_](?:[A-Za-z0-9_.-]*))(?::(\d{1,5}))?")
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::(\d{1,5}))?")


class ProxyRefused(RegionRebalanceError):
    """A proxy variable says what no client here can do; the message names it and what is allowed."""


@dataclass(frozen=True)
class Way:
    """How to reach an address: through `proxy`, which `variable` names, or straight where there is none."""

    proxy: str | None = None
    variable: str = ""

    @property
    def words(self) -> str:
        """For an error message: " through the proxy of HTTP_PROXY", or nothing."""
        return f" through the proxy of {self.variable}" if self.variable else ""


STRAIGHT = Way()


def way_to(
    url: str, environment: Mapping[str, str], *, is_own: Callable[[str], bool] = is_own_machine
) -> Way:
    """The way to `url`. This machine's own addresses are reached straight, whatever the variables say.

    Raises:
        ProxyRefused: the variable that counts for `url` cannot be honoured.
        ValueError: `url` is none.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or is_own(host):
        return STRAIGHT
    variable, value = _first_set(environment, f"{parts.scheme}_proxy", "all_proxy")
    if not value or _excepted(parts, environment):
        return STRAIGHT
    return Way(_checked(variable, value), variable)


def _first_set(environment: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first variable with a value, lower case before upper; an empty one hides the other."""
    for name in names:
        spelt = name if name in environment else name.upper()
        if value := environment.get(spelt, "").strip():
            return spelt, value
    return "", ""


def _checked(variable: str, value: str) -> str:
    """The proxy's URL. What is refused is not shown in full: a password may be in it."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        scheme = url.partition("://")[0]
        got = "has no usable HOST:PORT" if scheme in _SCHEMES else f"{scheme}:// is no proxy that can be used"
        raise ProxyRefused(f"{variable}: {got}; allowed: {_PROXIES} (or the host in NO_PROXY)")
    return url


def _excepted(parts: SplitResult, environment: Mapping[str, str]) -> bool:
    variable, value = _first_set(environment, NO_PROXY_VARIABLES[1])
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    matching = [entry for entry in entries if _matches(entry, parts.hostname or "", port, variable)]
    return bool(matching)  # all were looked at: which of them comes first must not decide what is refused


def _matches(entry: str, host: str, port: int | None, variable: str) -> bool:
    """Whether an entry of NO_PROXY stands for a host: the name itself and all names that end in it.

    Raises:
        ProxyRefused: it is neither a name, an address nor a network.
    """
    if entry == "*":
        return True
    bracketed = _BRACKETED.fullmatch(entry)
    try:
        network = ipaddress.ip_network(bracketed[1] if bracketed else entry, strict=False)
    except ValueError:
        network = None
    if network is not None:
        return _inside(host, network) and _same_port(bracketed[2] if bracketed else None, port)
    named = _NAME.fullmatch(entry)
    if named is None:
        raise ProxyRefused(f"{variable}: {entry!r} is no host; allowed: {_HOSTS}")
    name = named[1].rstrip(".").lower()
    return (host == name or host.endswith(f".{name}")) and _same_port(named[2], port)


def _same_port(wanted: str | None, port: int | None) -> bool:
    return wanted is None or int(wanted) == port


def _inside(host: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False
