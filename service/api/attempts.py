"""What attempts leave behind, over HTTP: which of them is asked about, and their logs in a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import StreamingResponse

from service.api.requests import BadParameter
from service.reconcile.run_directories import log_slice
from service.store.records import JobRow
from trainer.base.errors import Problem
from trainer.storage.directories import AttemptDir

Offset = Annotated[int, Query(ge=0, le=2**62, description="In bytes.")]
LogOfAttempt = Annotated[int | None, Query(ge=1, description="Only this attempt; else all in a row.")]
ReportOfAttempt = Annotated[int | None, Query(ge=1, description="Default: the newest.")]
LOG: dict[str, Any] = {
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "headers": {
        "X-Next-Offset": {
            "description": "`offset` to go on from.",
            "schema": {"type": "integer"},
            "required": True,
        }
    },
}


def attempts_of(row: JobRow, attempt: int | None) -> range:
    """All attempts so far, or the one asked for.

    Raises:
        BadParameter: it has not happened.
    """
    if attempt is None:
        return range(1, row.attempt + 1)
    if attempt > row.attempt:
        allowed = f"1 to {row.attempt}"
        raise BadParameter((Problem("/query/attempt", f"{attempt} has not happened", allowed),))
    return range(attempt, attempt + 1)


def log_answer(attempts: Iterable[AttemptDir], offset: int) -> StreamingResponse:
    """Their logs in a row from `offset` on, as they stand now."""
    piece = log_slice(attempts, offset)
    headers = {"X-Next-Offset": str(piece.end), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(piece.chunks(), media_type="text/plain; charset=utf-8", headers=headers)
