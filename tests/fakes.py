"""Twins of what lies outside. Each passes the same contract suite as the real thing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.reconcile.cluster import (
    AlreadySubmitted,
    BackendUnreachable,
    JobObservation,
    JobStatus,
    RunFact,
    SubmitRefused,
)


@dataclass
class FakeJob:
    """A job that goes where the test moves it."""

    command: tuple[str, ...]
    metadata: dict[str, str]
    status: JobStatus = JobStatus.PENDING
    message: str = ""
    log: str = ""
    stops: int = 0


class FakeBackend:
    """A cluster in memory. `stop` ends a job at once unless `stubborn`."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.jobs: dict[str, FakeJob] = {}
        self.down = False
        self.refuses: str | None = None
        self.stubborn = stubborn
        self._lock = threading.Lock()

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        self.ping()
        if self.refuses is not None:
            raise SubmitRefused(self.refuses)
        with self._lock:
            if job_id in self.jobs:
                raise AlreadySubmitted(job_id)
            self.jobs[job_id] = FakeJob(tuple(command), dict(metadata))

    def status(self, job_id: str) -> JobObservation:
        if self.down:
            return JobObservation(JobStatus.UNREACHABLE, "the cluster is down")
        job = self.jobs.get(job_id)
        return JobObservation(JobStatus.GONE) if job is None else JobObservation(job.status, job.message)

    def stop(self, job_id: str) -> None:
        self.ping()
        job = self.jobs.get(job_id)
        if job is not None and not job.status.over:
            job.stops += 1
            if not self.stubborn:
                job.status = JobStatus.STOPPED

    def logs(self, job_id: str) -> str:
        self.ping()
        job = self.jobs.get(job_id)
        return "" if job is None else job.log

    def ping(self) -> None:
        if self.down:
            raise BackendUnreachable("the cluster is down")

    # ------------------------------------------------ what a test does to the cluster

    def run(self, job_id: str) -> None:
        """The job's command starts."""
        self.jobs[job_id].status = JobStatus.RUNNING

    def finish(self, job_id: str, status: JobStatus = JobStatus.SUCCEEDED, message: str = "") -> None:
        """The job's command ends."""
        self.jobs[job_id].status, self.jobs[job_id].message = status, message

    def lose(self, job_id: str) -> None:
        """The head was started again and knows nothing of the job."""
        del self.jobs[job_id]


class FakeRuns:
    """An MLflow that remembers what runs were ended with. `facts` are of runs that are not simply there."""

    def __init__(self) -> None:
        self.closed: dict[str, str] = {}
        self.facts: dict[str, RunFact] = {}
        self.down = False
        self.looks = 0

    def close_run(self, run_id: str, status: str) -> None:
        self.ping()
        self.closed[run_id] = status

    def look(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
        self.looks += 1
        self.ping()
        return {run_id: self.facts.get(run_id, RunFact.THERE) for run_id in runs}

    def ping(self) -> None:
        if self.down:
            raise BackendUnreachable("MLflow is down")
