"""/sweeps/{id}/table: what a sweep has measured so far, in the form that was asked for."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from service import rundirs
from service.deps import SettingsDep, StoreDep
from service.problems import documented
from service.records import Experiment
from service.settings import Settings
from service.states import State
from sweeps.formats import FORMATS
from sweeps.results import entry_of, sweep_table
from sweeps.spec import SweepSpec
from sweeps.table import Entry, Table
from trainer.errors import ComparisonError, StoppedEarly

router = APIRouter(tags=["sweeps"])

Format = Literal["json", "markdown", "csv", "latex"]
_MEDIA: dict[str, Format] = {
    "application/json": "json",
    "text/markdown": "markdown",
    "text/csv": "csv",
    "application/x-tex": "latex",
}
_TEXTS = {media: {"schema": {"type": "string"}} for media in _MEDIA if media != "application/json"}


@router.get(
    "/sweeps/{sweep_id}/table",
    response_model=Table,
    responses={
        200: {"content": _TEXTS},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
)
def table(
    sweep_id: str,
    store: StoreDep,
    settings: SettingsDep,
    format: Annotated[Format | None, Query(description="Goes before Accept.")] = None,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Rows over seeds and differences to the first row, so far; JSON unless asked otherwise."""
    row = store.sweeps.get(sweep_id)
    spec = SweepSpec.model_validate_json(row.spec)
    entries = [_entry(trial, settings) for trial in store.trials(sweep_id)]
    if not entries:
        raise ComparisonError(f"sweep {sweep_id} has no trial yet; its search draws them as it goes")
    made = sweep_table(spec, entries)
    wanted = format or _accepted(accept)
    media = next(name for name, each in _MEDIA.items() if each == wanted)
    return Response(FORMATS[wanted](made), media_type=media)


def _entry(trial: Experiment, settings: Settings) -> Entry:
    """Only a completed trial has numbers: no other report need be read."""
    report = None
    if trial.state is State.COMPLETED:
        report = rundirs.report_of(settings.layout, trial.id, trial.attempt)
    entry = entry_of(trial.trial_row or "", json.loads(trial.spec)["seed"], report)
    stopped = trial.error_type == StoppedEarly.__name__ and trial.state is State.CANCELLED
    return Entry(entry.row, entry.seed, entry.report, stopped=stopped)


def _accepted(accept: str) -> Format:
    """The first of our forms that the header names; weights are not looked at."""
    for part in accept.split(","):
        media = part.partition(";")[0].strip().lower()
        if media in _MEDIA:
            return _MEDIA[media]
    return "json"
