"""How work ends: one vocabulary for attempts, trials, sweeps, what is stored of them, and their processes."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Literal, assert_never

from trainer.base.errors import Cancelled, StoppedEarly

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]  # MLflow's words


class ExitCode(IntEnum):
    """What our processes end with."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2  # argparse's own
    UNREACHABLE = 3
    INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
    TERMINATED = 143  # 128 + SIGTERM


class End(StrEnum):
    """How an attempt, a trial or a sweep ended. What holds for an end is asked here."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # early: a sweep's scheduler cancelled the trial

    @classmethod
    def of(cls, error: BaseException | None) -> End:
        """The end that an error means; without one the work was done."""
        match error:
            case None:
                return cls.COMPLETED
            case StoppedEarly():
                return cls.STOPPED
            case Cancelled():
                return cls.CANCELLED
            case _:
                return cls.FAILED

    @property
    def reported(self) -> Reported:
        """The end as reports and states name it: what was stopped early was cancelled."""
        return End.CANCELLED if self is End.STOPPED else self

    @property
    def exit_code(self) -> ExitCode:
        """Of the job that ended so."""
        match self.reported:
            case End.COMPLETED:
                return ExitCode.DONE
            case End.FAILED:
                return ExitCode.FAILED
            case End.CANCELLED:
                return ExitCode.TERMINATED
            case never:
                assert_never(never)

    @property
    def mlflow_status(self) -> RunStatus:
        """Of its run in MLflow."""
        match self.reported:
            case End.COMPLETED:
                return "FINISHED"
            case End.FAILED:
                return "FAILED"
            case End.CANCELLED:
                return "KILLED"
            case never:
                assert_never(never)


Reported = Literal[End.COMPLETED, End.FAILED, End.CANCELLED]
