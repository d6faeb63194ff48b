"""URL DIRECTORY: a service in a process of its own, without HTTP; prints each job that its cluster takes.

Its cluster is its own, and forgets with it: what counts here is who acts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from service.migrations import migrate
from service.reconcile.reconciler import Reconciler
from service.reconcile.thread import ReconcilerLoop
from service.shared.settings import Settings
from service.store.experiments import Store
from tests.fakes import FakeBackend

POLL_SECONDS = 0.2


class Told(FakeBackend):
    """Says what it takes."""

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        super().submit(job_id, command, metadata)
        print(f"took {job_id}", flush=True)


def main(url: str, directory: str) -> None:
    """Runs until its stdin ends."""
    settings = Settings(data_dir=Path(directory), database_url=url, poll_seconds=POLL_SECONDS, max_running=99)
    migrate(settings)
    store, backend = Store(settings.database), Told()
    loop = ReconcilerLoop(Reconciler(store, backend, settings), store, poll_seconds=POLL_SECONDS)
    loop.start()
    print("ready", flush=True)
    sys.stdin.read()
    loop.stop()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
