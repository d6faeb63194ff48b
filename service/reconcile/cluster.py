"""The port to the cluster: what the reconciler asks of it, and what may go wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from trainer.base.errors import RegionRebalanceError
from trainer.spec.recipes import Machines


class JobStatus(StrEnum):
    """What the cluster says of a job."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  # somebody asked for it
    GONE = "gone"  # the cluster does not know the id: never submitted, or forgotten in a restart
    UNREACHABLE = "unreachable"  # nobody answered: nothing is known

    @property
    def over(self) -> bool:
        """True where no process of the job is left."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.GONE)


@dataclass(frozen=True)
class JobObservation:
    """One look at a job; `message` is the cluster's own words, often empty.

    `host` is where its command runs or ran, `exit_code` what that ended with, as far as the cluster says.
    """

    status: JobStatus
    message: str = ""
    host: str | None = None
    exit_code: int | None = None


class BackendError(RegionRebalanceError):
    """Root of what the port raises."""


class AlreadySubmitted(BackendError):
    """A job of this id exists; to the caller as good as a submit."""


class SubmitRefused(BackendError):
    """The cluster will not take this job, and asking again will not help."""


class BackendUnreachable(BackendError):
    """Nobody answered, or not in time: whether anything happened is unknown."""


class Backend(Protocol):
    """A cluster that runs one command line per job. Any thread may call it."""

    def submit(self, job_id: str, command: Sequence[str], metadata: Mapping[str, str]) -> None:
        """Starts `command` as job `job_id`, taking no CPU or GPU for it; an id works once.

        Raises:
            AlreadySubmitted: the id is taken.
            SubmitRefused: trying again cannot help.
            BackendUnreachable: trying again later may.
        """

    def status(self, job_id: str) -> JobObservation:
        """How the job stands; UNREACHABLE instead of an error."""

    def statuses(self, job_ids: Collection[str]) -> Mapping[str, JobObservation]:
        """How as many of these jobs stand as is told at once for less than asking for each; perhaps none.

        One that is left out is to be asked for by itself, also where the cluster does not know it.
        """

    def stop(self, job_id: str) -> None:
        """Asks the job to end and returns at once; nothing happens where it is over or unknown.

        Raises:
            BackendUnreachable: nobody answered.
        """

    def logs(self, job_id: str) -> str:
        """What the job's command has printed, empty for an unknown id.

        Raises:
            BackendUnreachable: nobody answered.
        """

    def machines(self) -> Machines:
        """What the nodes that are alive have together, or may have once more have come, where that is more.

        Raises:
            BackendUnreachable: nobody answered, or the cluster does not know its nodes yet.
        """

    def ping(self) -> None:
        """Returns if the cluster answers.

        Raises:
            BackendUnreachable: with the address.
        """


class RunFact(StrEnum):
    """What the tracking server says of a run."""

    THERE = "there"
    DELETED = "deleted"  # in its bin
    GONE = "gone"  # it knows no such run


class AccessRefused(BackendUnreachable):
    """Somebody answered, and will not let us in; jobs, with credentials of their own, may fare better."""


class RunCloser(Protocol):
    """The tracking server, as far as the service speaks to it: jobs do the rest. Any thread may call it."""

    def close_run(self, run_id: str, status: str) -> None:
        """Gives the run its status (FINISHED, FAILED or KILLED), and an end; an unknown one is left alone.

        Raises:
            BackendUnreachable: MLflow does not answer.
        """

    def look(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
        """What it says of runs, given as run id to the id of the experiment that they lie in.

        Raises:
            BackendUnreachable: it does not answer.
        """

    def delete_run(self, run_id: str) -> None:
        """Puts the run into its bin and takes its artifacts away; an unknown one is left alone.

        Raises:
            BackendUnreachable: MLflow does not answer, or refuses; what went before that is gone.
        """

    def binned(self, run_ids: Collection[str]) -> dict[str, int]:
        """Those of these runs that lie in the bin with something that they logged, and its bytes.

        Raises:
            BackendUnreachable: MLflow does not answer.
        """

    def ping(self) -> None:
        """Returns if it answers.

        Raises:
            BackendUnreachable: with its address; AccessRefused: with its words.
        """
