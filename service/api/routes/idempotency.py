"""Idempotency-Key: the same key and body again give what they stored the first time."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from fastapi import Depends, Header
from pydantic import WithJsonSchema

from service.store.jobs import Ledger
from service.store.records import BadKey, JobRow, KeyReused

Row = TypeVar("Row", bound=JobRow)
_MOST_LETTERS = 255
_KEY = re.compile(r"^[\x21-\x7e]+$", re.ASCII)
KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same key and body again give the same answer."),
    # Told here, enforced by `checked`: of the framework's refusal nobody would know what is allowed.
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _MOST_LETTERS, "pattern": _KEY.pattern}),
]


async def checked(idempotency_key: KeyHeader = None) -> str | None:
    """The key that a request came with, if it is one.

    Raises:
        BadKey: it is none.
    """
    if idempotency_key is None or (len(idempotency_key) <= _MOST_LETTERS and _KEY.fullmatch(idempotency_key)):
        return idempotency_key
    raise BadKey(f"Idempotency-Key is refused; allowed: 1 to {_MOST_LETTERS} visible ASCII characters")


KeyDep = Annotated[str | None, Depends(checked)]


def earlier(ledger: Ledger[Row], key: str | None, request_hash: str) -> Row | None:
    """What this key has stored before; asked first, so that a repetition needs no second validation.

    Raises:
        KeyReused: it came with another body.
    """
    row = ledger.find_request(key) if key is not None else None
    if row is not None:
        same_request(row, request_hash)
    return row


def same_request(row: JobRow, request_hash: str | None) -> None:
    """Raises KeyReused where `row` was stored for another body."""
    if row.request_hash != request_hash:
        raise KeyReused(f"this Idempotency-Key stored {row.id}; use a new one for another request")
