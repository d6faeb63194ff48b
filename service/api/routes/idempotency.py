"""Idempotency-Key: the same key and body again give what they stored the first time."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from fastapi import Header

from service.store.jobs import Ledger
from service.store.records import Asked, BadKey, KeyReused

Row = TypeVar("Row", bound=Asked)
KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same key and body again give the same answer."),
]
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def earlier(ledger: Ledger[Row], key: str | None, request_hash: str) -> Row | None:
    """What this key has stored before; asked first, so that a repetition needs no second validation.

    Raises:
        BadKey: it is none.
        KeyReused: it came with another body.
    """
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadKey("Idempotency-Key is refused; allowed: 1 to 255 visible ASCII characters")
    row = ledger.find_request(key)
    if row is not None:
        same_request(row, request_hash)
    return row


def same_request(row: Asked, request_hash: str | None) -> None:
    """Raises KeyReused where `row` was stored for another body."""
    if row.request_hash != request_hash:
        raise KeyReused(f"this Idempotency-Key stored {row.id}; use a new one for another request")
