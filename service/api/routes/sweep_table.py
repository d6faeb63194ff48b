"""/sweeps/{id}/table: what a sweep has measured so far, in the form that was asked for."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Literal, NamedTuple, cast

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from service.api.dependencies import SettingsDep, StoreDep
from service.api.problems import documented
from service.api.requests import NotAcceptable
from service.reconcile import run_directories
from service.shared.states import State
from service.store.records import Experiment, Sweep
from sweeps.document.spec import SweepSpec
from sweeps.results.formats import FORMATS
from sweeps.results.report import read_sweep_report
from sweeps.results.sweep_table import sweep_table
from sweeps.results.table import Entry, Table
from trainer.base.errors import ReportError
from trainer.results.report import RunReport
from trainer.storage.layout import AttemptDir, Storage

router = APIRouter(tags=["sweeps"])

Format = Literal["json", "markdown", "csv", "latex"]
_MEDIA: dict[str, Format] = {
    "application/json": "json",
    "text/markdown": "markdown",
    "text/csv": "csv",
    "application/x-tex": "latex",
}
_TEXTS = {media: {"schema": {"type": "string"}} for media in _MEDIA if media != "application/json"}
_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_MOST_TABLES = 8


class _Seen(NamedTuple):
    """All of a trial that its line of the table depends on: the report of an attempt that completed stays."""

    experiment: str
    attempt: int
    row: str
    seed: int
    completed: bool
    stopped: bool


class _State(NamedTuple):
    """All that a table depends on. `ended`: the sweep's attempt that came to its end, None before that."""

    ended: int | None
    trials: tuple[_Seen, ...]


class Tables:
    """The last tables made, each good until a trial of its sweep is seen otherwise. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[_State, Table]] = {}

    def get(self, sweep_id: str, seen: _State, make: Callable[[], tuple[Table, bool]]) -> Table:
        """The sweep's table; `make` gives a new one, and whether it is as good as `seen` says.

        One is made at a time: a large one needs much memory.
        """
        with self._lock:
            known, table = self._made.pop(sweep_id, (None, None))
            whole = True
            if table is None or known != seen:
                table, whole = make()
            if whole:
                self._made[sweep_id] = seen, table
                if len(self._made) > _MOST_TABLES:
                    del self._made[next(iter(self._made))]
            return table


def _tables(request: Request) -> Tables:
    return cast(Tables, request.app.state.tables)


@router.get(
    "/sweeps/{sweep_id}/table",
    response_model=Table,
    responses={
        200: {"content": _TEXTS},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT),
    },
)
def table(
    sweep_id: str,
    store: StoreDep,
    settings: SettingsDep,
    tables: Annotated[Tables, Depends(_tables)],
    format: Annotated[Format | None, Query(description="Goes before Accept.")] = None,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Rows over seeds and differences to the first row, so far; JSON unless asked otherwise."""
    row = store.sweeps.get(sweep_id)
    wanted = format or _MEDIA[accepted(accept)]
    ended = row.attempt if row.state is State.COMPLETED else None
    seen = _State(ended, tuple(_seen(trial) for trial in store.trials(sweep_id)))
    made = tables.get(sweep_id, seen, lambda: _make(row, seen, settings.layout))
    media = next(name for name, each in _MEDIA.items() if each == wanted)
    return Response(FORMATS[wanted](made), media_type=media)


def accepted(accept: str) -> str:
    """The media type that an Accept header likes best, of equals the one named first; ours without a header.

    A range that names more goes before one that names less, as `text/csv;q=0, text/*` shows. What stands
    beside `q` is not looked at, and a weight that is none counts as 1.

    Raises:
        NotAcceptable: it takes none of them.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    names, weights = [name for name, _ in ranges], dict(reversed(ranges))
    liked = []
    for place, media in enumerate(_MEDIA):
        kinds = (media, f"{media.partition('/')[0]}/*", "*/*")
        found = next((kind for kind in kinds if kind in weights), None)
        if found is not None and weights[found] > 0:
            liked.append((weights[found], -names.index(found), -place, media))
    if not liked:
        raise NotAcceptable(f"Accept: {accept[:200]!r} takes none of {', '.join(_MEDIA)}")
    return max(liked)[-1]


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip().lower() for each in part.split(";"))
    given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return name, float(given) if _WEIGHT.fullmatch(given) else 1.0


def _seen(trial: Experiment) -> _Seen:
    return _Seen(
        trial.id,
        trial.attempt,
        trial.trial_row or "",
        json.loads(trial.spec)["seed"],
        completed=trial.state is State.COMPLETED,
        stopped=trial.stopped,
    )


def _make(sweep: Sweep, seen: _State, storage: Storage) -> tuple[Table, bool]:
    """The table, and whether every trial that completed has its report. Only those have numbers."""
    trials = seen.trials
    reports = [_report(trial, storage) if trial.completed else None for trial in trials]
    entries = [
        Entry(trial.row, trial.seed, report, stopped=trial.stopped)
        for trial, report in zip(trials, reports, strict=True)
    ]
    whole = all(report is not None for trial, report in zip(trials, reports, strict=True) if trial.completed)
    limit = _limit(storage.sweep(sweep.id).attempt(seen.ended)) if seen.ended else None
    return sweep_table(SweepSpec.model_validate_json(sweep.spec), entries, limit=limit), whole


def _limit(attempt: AttemptDir) -> str | None:
    """As the sweep's report says; the table stands where that is lost."""
    with suppress(ReportError):
        report = read_sweep_report(attempt.report)
        return report.limit if report is not None else None
    return None


def _report(trial: _Seen, storage: Storage) -> RunReport | None:
    """None where it cannot be read: the sweep's job counts such a trial as one without a result, too."""
    with suppress(ReportError):
        return run_directories.report_of(storage, trial.experiment, trial.attempt)
    return None
