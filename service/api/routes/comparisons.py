"""/comparisons: reports side by side."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented
from service.api.requests import BadParameter
from service.reconcile import run_directories
from service.shared.settings import Settings
from service.store.experiments import Store
from trainer.base.errors import ComparisonError, Problem
from trainer.results.compare import Comparison
from trainer.results.compare import compare as compare_reports
from trainer.results.report import AttemptReport

router = APIRouter(tags=["comparisons"])

_MOST = 100
Ids = Annotated[str, Query(description="Experiments, separated by commas; the first is the reference.")]
Mode = Annotated[
    str | None,
    Query(max_length=40, description="Way of scoring; left out: the first one of the reference."),
]


@router.get("/comparisons", responses=documented(*map(HTTPStatus, (404, 409))))
def compare(ids: Ids, store: StoreDep, settings: SettingsDep, mode: Mode = None) -> Comparison:
    """Scores of completed experiments, and their differences from the first."""
    return compare_reports([_report(each, store, settings) for each in wanted_ids(ids)], mode)


def wanted_ids(ids: str) -> list[str]:
    """The ids between commas.

    Raises:
        BadParameter: there are none, too many, or one twice.
    """
    wanted = [part.strip() for part in ids.split(",")]
    if not 1 <= len(wanted) <= _MOST or "" in wanted or len(set(wanted)) < len(wanted):
        allowed = f"1 to {_MOST} different ids, separated by commas"
        raise BadParameter((Problem("/query/ids", f"{ids[:80]!r} is refused", allowed),))
    return wanted


def _report(experiment_id: str, store: Store, settings: Settings) -> AttemptReport:
    row = store.get(experiment_id)
    found = run_directories.report_of(settings.layout, row.id, row.attempt)
    if found is None:
        raise ComparisonError(f"experiment {row.id} has left no report; it is {row.state}")
    return found
