"""Tokens as text: how one is made, how a mistyped one is told, what each scope may do. Quick to import."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from enum import StrEnum

PREFIX = "rrb_"
SHOWN = len(PREFIX) + 4  # characters that lists show, so that people know their own
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")  # of a token; it stands in logs
MOST_DAYS = 3650
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM = 30  # characters, 178 bits
_CHECKSUM = 6  # characters, which hold 32 bits
_FORM = re.compile(f"{PREFIX}[{_DIGITS}]{{{_RANDOM + _CHECKSUM}}}", re.ASCII)


class Scope(StrEnum):
    """What who shows a token may do; each may all that the ones before it may."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"

    def includes(self, needed: Scope) -> bool:
        """Whether it is `needed`, or one that may more."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


MAY = {
    Scope.VIEWER: "read everything",
    Scope.USER: "also submit, and change what is theirs: cancel, retry, delete and so on",
    Scope.ADMIN: "also change what is others', manage tokens, clear the storage, and see who did what",
}


def new_secret() -> str:
    """A token that nobody can guess: prefix, 30 random letters and digits, and 6 of checksum.

    Source: GitHub's format of 2021, https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/:
    scanners find such text in files, and its CRC32, in base 62, tells a mistyped one without a database.
    """
    body = "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    return f"{PREFIX}{body}{_checksum(body)}"


def well_formed(text: str) -> bool:
    """Whether `text` may be a token: its form and its checksum are right."""
    if _FORM.fullmatch(text) is None:
        return False
    body = text.removeprefix(PREFIX)
    return _checksum(body[:_RANDOM]) == body[_RANDOM:]


def digest(secret: str) -> str:
    """SHA-256, 64 hexadecimal digits: what is stored. 178 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    rest, letters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_DIGITS))
        letters = _DIGITS[digit] + letters
    return letters
