"""/experiments/{id}/…: what an experiment leaves behind, from the database and its run directory."""

from __future__ import annotations

from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from service.api.attempts import LOG, LogOfAttempt, Offset, ReportOfAttempt, attempts_of, log_answer
from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented
from service.reconcile import run_directories
from service.shared.schemas import MetricsPage
from service.store.records import NoReport
from trainer.results.report import AttemptReport

router = APIRouter(tags=["experiments"])

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)


@router.get(
    "/experiments/{experiment_id}/logs",
    response_class=StreamingResponse,
    responses={200: LOG, **_NOT_FOUND},
)
def logs(
    experiment_id: str,
    store: StoreDep,
    settings: SettingsDep,
    offset: Offset = 0,
    attempt: LogOfAttempt = None,
) -> StreamingResponse:
    """The job's log from `offset` on, as it stands now. Repeat with X-Next-Offset to follow it."""
    row = store.get(experiment_id)
    here = (settings.layout.attempt(row.id, each) for each in attempts_of(row, attempt))
    return log_answer(here, offset)


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
    lines = enumerate(
        run_directories.metric_lines(settings.layout, row.id, attempts_of(row, attempt)), start=1
    )
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
    attempt: ReportOfAttempt = None,
) -> AttemptReport:
    """The attempt's report, whole."""
    row = store.get(experiment_id)
    wanted = attempts_of(row, attempt)[-1]
    found = run_directories.report_of(settings.layout, row.id, wanted)
    if found is None:
        raise NoReport(f"attempt {wanted} of experiment {row.id} has left no report; it is {row.state}")
    return found
