"""Which addresses are this machine's own: no proxy leads there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NO_PROXY_VARIABLES = ("NO_PROXY", "no_proxy")  # programs differ in which of them goes first


def is_own_machine(host: str) -> bool:
    """Whether a host name or address is this machine's, without asking a name server."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == socket.gethostname().lower()
    return address.is_loopback or address.is_unspecified or _has_address(address)


def without_proxy(environment: Mapping[str, str], urls: Iterable[str | None] = ()) -> dict[str, str]:
    """NO_PROXY and no_proxy: what `environment` has in them, and this machine, also as `urls` name it.

    Brackets around an IPv6 address are taken away: not all programs that read the variables know them.
    """
    given = ",".join(environment.get(name, "") for name in NO_PROXY_VARIABLES)
    named = [_bare(entry.strip()) for entry in given.split(",") if entry.strip()]
    hosts = [urlsplit(url).hostname for url in urls if url]
    own = [host for host in hosts if host and is_own_machine(host)]
    value = ",".join(dict.fromkeys((*named, *LOOPBACK, *own)))
    return dict.fromkeys(NO_PROXY_VARIABLES, value)


def _bare(entry: str) -> str:
    return entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry


def _has_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Only an address of one's own can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
