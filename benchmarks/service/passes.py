"""The reconciler's pass over experiments that run: the cluster in memory, database and storage real."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from pathlib import Path

from benchmarks.service.server import EndlessJobs, settings_of
from benchmarks.service.stored import leave_directories, store
from service.migrations import migrate
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.states import State
from service.store.experiments import Store


def pass_seconds(database: str, directory: Path, *, running: int, repeats: int) -> dict[str, float]:
    """Median of passes over so many, and the `first`, in which each row learns its MLflow run's id."""
    settings = settings_of(database, directory, max_running=running)
    migrate(settings)
    leave_directories(settings.layout, store(database, running, state=State.RUNNING))
    took = []
    with closing(Store(database)) as opened:
        reconciler = Reconciler(opened, EndlessJobs(), settings)
        for _ in range(repeats + 1):
            began = time.perf_counter()
            reconciler.run_once(utc_now())
            took.append(time.perf_counter() - began)
    first, *later = took
    return {"first": round(first, 3), "median": round(statistics.median(later), 3)}
