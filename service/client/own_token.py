"""The token of who runs the client: where it is kept, and where it may be sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from service.shared.network.hosts import is_loopback
from service.shared.tokens import well_formed
from trainer.base.errors import RegionRebalanceError
from trainer.base.secret_files import SecretRefused, read_secret

VARIABLE, FILE_VARIABLE, HTTP_VARIABLE = "REBALANCE_TOKEN", "REBALANCE_TOKEN_FILE", "REBALANCE_ALLOW_HTTP"
DEFAULT_FILE = Path("~/.config/rebalance/token")


class TokenRefused(RegionRebalanceError):
    """A token cannot be used as it is kept, or not be sent there; the message names where it came from."""


class _Found(NamedTuple):
    secret: str
    source: str


def token_for(url: str, given: str | None, environment: Mapping[str, str]) -> str | None:
    """The token to show at `url`: `given`, else of the environment, else of a file; None for none.

    An empty one means: show none.

    Raises:
        TokenRefused: it is none, others can read its file, or it would go over a network as it is.
    """
    found = _Found(given, "token") if given is not None else _find(environment)
    if found is None or not found.secret:
        return None
    if not well_formed(found.secret):
        raise TokenRefused(
            f"{found.source}: is no token: its checksum does not fit; "
            "allowed: the whole text that `rebalance token create` prints"
        )
    _may_go_to(url, found.source, environment)
    return found.secret


def _find(environment: Mapping[str, str]) -> _Found | None:
    if VARIABLE in environment:
        return _Found(environment[VARIABLE].strip(), VARIABLE)
    if named := environment.get(FILE_VARIABLE):
        return _Found(_read(Path(named), f"{FILE_VARIABLE}: "), FILE_VARIABLE)
    usual = DEFAULT_FILE.expanduser()
    return _Found(_read(usual, ""), str(usual)) if usual.exists() else None


def _read(file: Path, source: str) -> str:
    try:
        return read_secret(file, "a token")
    except SecretRefused as error:
        raise TokenRefused(f"{source}{error}") from None


def _may_go_to(url: str, source: str, environment: Mapping[str, str]) -> None:
    """Raises TokenRefused where everybody on the way could read it."""
    allowed = environment.get(HTTP_VARIABLE, "")
    if allowed not in ("", "0", "1"):
        raise TokenRefused(f"{HTTP_VARIABLE}: {allowed!r} is refused; allowed: 1, 0")
    parts = urlsplit(url)
    if parts.scheme.lower() == "https" or is_loopback(parts.hostname or "") or allowed == "1":
        return
    raise TokenRefused(
        f"{source}: is not sent to {parts.hostname} over plain http, where others can read it; allowed: an "
        f"https:// address, {HTTP_VARIABLE}=1 in a network of one's own, or {VARIABLE}= to show none"
    )
