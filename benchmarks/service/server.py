"""DATABASE_URL DIRECTORY MAX_RUNNING: the service as it is always served, over a cluster in memory.

Prints its address once it is ready, and serves until its stdin ends. Each request is logged to a file, as
always. The cluster takes every job, and of each that it is asked for it says that it runs.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.api.app import create_app
from service.local.api_server import ApiServer, log_to
from service.local.collector import spare_collections
from service.local.data_dir import bind, url_of
from service.migrations import migrate
from service.reconcile.cluster import JobObservation, JobStatus
from service.shared.settings import Settings
from tests.fakes import FakeBackend

_READY_SECONDS, _END_SECONDS = 60.0, 60.0


class EndlessJobs(FakeBackend):
    """Every job runs, whoever started it, and never ends."""

    def status(self, job_id: str) -> JobObservation:
        del job_id
        return JobObservation(JobStatus.RUNNING)


def settings_of(database: str, directory: Path, *, max_running: int) -> Settings:
    """The service's own defaults, but for where things lie and how many run at once."""
    return Settings(data_dir=directory, database_url=database, max_running=max_running)


@contextmanager
def serving(database: str, directory: Path, *, max_running: int) -> Iterator[str]:
    """The address of such a service in a process of its own, ended with the block.

    Raises:
        RuntimeError: it did not start.
    """
    words = [database, str(directory), str(max_running)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.service.server", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("the service did not start")
            yield address
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)


def main(database: str, directory: str, max_running: str) -> None:
    """Serves until stdin ends."""
    settings = settings_of(database, Path(directory), max_running=int(max_running))
    migrate(settings)
    log_file = settings.data_dir / "logs" / "service.log"
    with closing(log_to(log_file)), closing(bind("127.0.0.1", 0)) as bound:
        server = ApiServer(create_app(settings, EndlessJobs()), bound, log_file)
        server.start()
        try:
            server.wait(threading.Event(), _READY_SECONDS)
            spare_collections()
            print(url_of(bound), flush=True)
            sys.stdin.read()
        finally:
            server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
