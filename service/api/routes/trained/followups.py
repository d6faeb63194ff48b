"""/followups/{id}: the life of an evaluation, a prediction or an export, whatever its experiment."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from service.api.attempts import LOG, LogOfAttempt, Offset, ReportOfAttempt, attempts_of, log_answer
from service.api.dependencies import QueueDep, SettingsDep, StoreDep, WakeDep
from service.api.problems import CHANGE, documented
from service.api.views.followups import followup_public
from service.reconcile import run_directories
from service.reconcile.reconciler import utc_now
from service.reconcile.retry_on_request import retry_followup
from service.shared.followup_schemas import FollowupPublic
from service.store.records import NoReport
from trainer.results.followup import FollowupReport

router = APIRouter(tags=["follow-ups"])

_NOT_FOUND = documented(HTTPStatus.NOT_FOUND)


@router.get("/followups/{followup_id}", responses=_NOT_FOUND)
def show(followup_id: str, store: StoreDep, queue: QueueDep) -> FollowupPublic:
    """One follow-up, and which experiment it is of."""
    return followup_public(store.followups.get(followup_id), queue)


@router.post("/followups/{followup_id}/cancel", **CHANGE)
def cancel(followup_id: str, store: StoreDep, queue: QueueDep, wake: WakeDep) -> FollowupPublic:
    """Asks for its end. The state follows when the job has ended; a result that was faster stays."""
    row = store.followups.request_cancel(followup_id, now=utc_now())
    wake()
    return followup_public(row, queue)


@router.post("/followups/{followup_id}/retry", **CHANGE)
def retry(
    followup_id: str, store: StoreDep, queue: QueueDep, settings: SettingsDep, wake: WakeDep
) -> FollowupPublic:
    """Queues one that failed or was cancelled again; it begins anew."""
    row = store.followups.get(followup_id)
    row = retry_followup(store.followups, settings.layout, row, utc_now())
    wake()
    return followup_public(row, queue)


@router.get(
    "/followups/{followup_id}/logs",
    response_class=StreamingResponse,
    responses={200: LOG, **_NOT_FOUND},
)
def logs(
    followup_id: str,
    store: StoreDep,
    settings: SettingsDep,
    offset: Offset = 0,
    attempt: LogOfAttempt = None,
) -> StreamingResponse:
    """The job's log from `offset` on, as it stands now. Repeat with X-Next-Offset to follow it."""
    row = store.followups.get(followup_id)
    here = settings.layout.followup(row.experiment_id, row.id)
    return log_answer((here.attempt(each) for each in attempts_of(row, attempt)), offset)


@router.get(
    "/followups/{followup_id}/report", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)
def report(
    followup_id: str, store: StoreDep, settings: SettingsDep, attempt: ReportOfAttempt = None
) -> FollowupReport:
    """The attempt's report, whole: every score of an evaluation."""
    row = store.followups.get(followup_id)
    wanted = attempts_of(row, attempt)[-1]
    found = run_directories.followup_report_of(settings.layout, row, wanted)
    if found is None:
        raise NoReport(f"attempt {wanted} of follow-up {row.id} has left no report; it is {row.state}")
    return found
