"""How something stands now: time left, the end of its log, Ray's own page of its job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from service.reconcile.run_directories import log_slice
from service.shared.schemas import ExperimentPublic
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.sweep_schemas import SweepPublic
from service.store.experiments import Store
from service.store.records import Experiment, JobRow
from trainer.base.text import printable_lines
from trainer.storage.directories import AttemptDir
from trainer.storage.sink import last_record

TAIL_BYTES = 64 * 1024


def seconds_left(experiment: ExperimentPublic, settings: Settings, now: datetime) -> float | None:
    """Of training, at the pace of the last record; None where nothing tells. Evaluations are not in it."""
    if experiment.state is not State.RUNNING or experiment.progress is None:
        return None
    record = last_record(settings.layout.attempt(experiment.id, experiment.attempt).metrics, "train") or {}
    pace, at, iteration = (record.get(name) for name in ("seconds_per_iteration", "time", "iteration"))
    if not all(isinstance(each, int | float) for each in (pace, at, iteration)):
        return None
    left = (experiment.progress.iterations - iteration) * pace  # type: ignore[operator]
    return max(0.0, float(left) - (now.timestamp() - at))  # type: ignore[operator]


def sweep_seconds_left(sweep: SweepPublic, now: datetime) -> float | None:
    """At the pace of the trials that have ended; None before the first, and while nothing runs."""
    counts = sweep.counts
    ended = counts.completed + counts.failed + counts.stopped + counts.cancelled
    if sweep.state is not State.RUNNING or sweep.paused or sweep.started_at is None or not ended:
        return None
    return (now - sweep.started_at).total_seconds() / ended * (counts.total - ended)


def log_tail(attempts: Iterable[AttemptDir], most: int = TAIL_BYTES) -> str:
    """The last whole lines of the logs in a row, at most `most` bytes; hidden letters as escapes."""
    here = tuple(attempts)
    start = max(0, log_slice(here, 0).end - most)
    text = b"".join(log_slice(here, start).chunks()).decode("utf-8", "replace")
    return printable_lines(text.partition("\n")[2] if start else text)


def ray_page(row: JobRow, store: Store, settings: Settings) -> str | None:
    """Ray's own page of the job that works on it; a trial's is its sweep's."""
    if row.state is State.QUEUED or settings.ray_address is None:
        return None
    if isinstance(row, Experiment) and row.sweep_id is not None and not row.detached:
        return ray_page(store.sweeps.get(row.sweep_id), store, settings)
    return f"{settings.ray_address}/#/jobs/{row.job_id}"
