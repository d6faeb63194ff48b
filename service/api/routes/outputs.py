"""/experiments/{id}/…: what an experiment leaves behind, from the database and its run directory."""

from __future__ import annotations

from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented
from service.api.requests import BadParameter
from service.reconcile import run_directories
from service.shared.schemas import MetricsPage
from service.store.records import Experiment, NoReport
from trainer.base.errors import Problem
from trainer.results.report import AttemptReport

router = APIRouter(tags=["experiments"])

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)


@router.get(
    "/experiments/{experiment_id}/logs",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "headers": {
                "X-Next-Offset": {
                    "description": "`offset` to go on from.",
                    "schema": {"type": "integer"},
                    "required": True,
                }
            },
        },
        **_NOT_FOUND,
    },
)
def logs(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    offset: Annotated[int, Query(ge=0, le=2**62, description="In bytes.")] = 0,
    attempt: Annotated[int | None, Query(ge=1, description="Only this attempt; else all in a row.")] = None,
) -> StreamingResponse:
    """The job's log from `offset` on, as it stands now. Repeat with X-Next-Offset to follow it."""
    row = store.get(experiment_id)
    piece = run_directories.log_slice(settings.layout, row.id, _attempts(row, attempt), offset)
    headers = {"X-Next-Offset": str(piece.end), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(piece.chunks(), media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/experiments/{experiment_id}/metrics", responses=_NOT_FOUND)
def metrics(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    kind: Literal["train", "eval", "event"] | None = None,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next_after` or `next_cursor` so far.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    attempt: Annotated[int | None, Query(ge=1)] = None,
) -> MetricsPage:
    """Curves: what the job measured, line by line over all attempts."""
    row = store.get(experiment_id)
    lines = enumerate(run_directories.metric_lines(settings.layout, row.id, _attempts(row, attempt)), start=1)
    found: list[dict[str, Any]] = []
    next_after, more = after, False
    for number, line in islice(lines, after, None):
        if kind is None or line.get("kind") == kind:
            if len(found) == limit:
                more = True
                break
            found.append(line)
        next_after = number
    return MetricsPage(
        items=tuple(found), next_cursor=str(next_after) if more else None, next_after=next_after
    )


@router.get(
    "/experiments/{experiment_id}/report", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)
def report(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    attempt: Annotated[int | None, Query(ge=1, description="Default: the newest.")] = None,
) -> AttemptReport:
    """The attempt's report, whole."""
    row = store.get(experiment_id)
    wanted = _attempts(row, attempt)[-1]
    found = run_directories.report_of(settings.layout, row.id, wanted)
    if found is None:
        raise NoReport(f"attempt {wanted} of experiment {row.id} has left no report; it is {row.state}")
    return found


def _attempts(row: Experiment, attempt: int | None) -> range:
    """All attempts so far, or the one asked for."""
    if attempt is None:
        return range(1, row.attempt + 1)
    if attempt > row.attempt:
        allowed = f"1 to {row.attempt}"
        raise BadParameter((Problem("/query/attempt", f"{attempt} has not happened", allowed),))
    return range(attempt, attempt + 1)
