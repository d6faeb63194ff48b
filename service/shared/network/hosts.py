"""Names and addresses of hosts: which are loopback, and which a service answers to. Quick to import."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_NAME = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_ORIGIN = re.compile(r"https?://(?P<host>\[[0-9a-f:.]+\]|[^/:@?#\s]+)(?P<port>:\d{1,5})?")
HOSTS = "host names and addresses without a port, such as lab.example; *.lab.example for all below it"
ORIGINS = "origins as a browser sends them, such as https://lab.example:8443"


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach `host`: `localhost`, or a loopback address."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_address(host: str) -> bool:
    """Whether it is an IP address, not a name."""
    return _address(host) is not None


def fits(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of `patterns`, or below one that begins with `*.`."""
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in patterns)


def host_pattern(text: str) -> str:
    """One of `HOSTS`, in lower case.

    Raises:
        ValueError: it is none.
    """
    lower = text.strip("[]").lower()
    if not is_address(lower) and _NAME.fullmatch(lower) is None:
        raise ValueError(f"{text!r} is no host; allowed: {HOSTS}")
    return lower


def origin(text: str) -> str:
    """One of `ORIGINS`, in lower case.

    Raises:
        ValueError: it is none.
    """
    lower = text.lower().rstrip("/")
    found = _ORIGIN.fullmatch(lower)
    if found is None or host_pattern(found["host"]).startswith("*"):
        raise ValueError(f"{text!r} is no origin; allowed: {ORIGINS}")
    return lower


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
