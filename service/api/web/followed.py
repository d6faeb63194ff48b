"""How something stands now: time left, the end of its log, Ray's own page of its job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from service.reconcile.run_directories import log_slice
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.records import Experiment, JobRow
from trainer.base.text import printable_lines
from trainer.storage.directories import AttemptDir

TAIL_BYTES = 64 * 1024


def seconds_left(expected_end: datetime | None, now: datetime) -> float | None:
    """Until it is expected to end; None where nothing tells."""
    return None if expected_end is None else max(0.0, (expected_end - now).total_seconds())


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
