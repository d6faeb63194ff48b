"""One attempt at anything, with a folder of its own: log.txt while it goes on, report.json last of all."""

from __future__ import annotations

import errno
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from trainer.base.ends import End
from trainer.base.errors import Cancelled, DiskFull, RegionRebalanceError, StorageAway, WorkerLost
from trainer.base.files import full_disk_told, is_disk_full
from trainer.base.strict_model import StrictModel
from trainer.base.tee import tee_output
from trainer.results.report import AttemptError
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import mlflow_ids
from trainer.storage.notices import Notice, add_notice, read_notices
from trainer.storage.port import StoredFile
from trainer.storage.reserve import free_reserve, take_reserve
from trainer.storage.waiting import waiting

log = logging.getLogger(__name__)
_NO_ANSWER = (errno.EIO, errno.ESTALE)  # how one that is mounted over a network says so
Outcome = TypeVar("Outcome")  # what the work gives
Report = TypeVar("Report", bound=StrictModel)


class ReportedWork(ABC, Generic[Outcome, Report]):
    """What attempts at experiments and at follow-ups share: how they are timed, logged and reported."""

    def __init__(
        self, directory: AttemptDir, title: str, *, mlflow_run: StoredFile, begun: float | None
    ) -> None:
        """`begun`: when this process, or its part in the attempt, began; None: now."""
        self.dir = directory
        self._title = title
        self._mlflow_run = mlflow_run
        now = time.time()
        self._marks: list[tuple[str, float]] = [("start", now if begun is None else begun), ("imports", now)]
        self._started_at = utc_now_text()
        self._finished: Report | None = None
        self._logs = False

    @abstractmethod
    def report(self, *, outcome: Outcome | None = None, error: BaseException | None = None) -> Report:
        """What there is to report."""

    @abstractmethod
    def _say_end(self, report: Report) -> None:
        """Prints how it ended."""

    @abstractmethod
    def _tell_tracker(self, report: Report) -> None:
        """Sends to MLflow what belongs there. Whatever MLflow does, this raises nothing of it."""

    @abstractmethod
    def _write(self, report: Report) -> None:
        """Writes report.json."""

    def mark(self, name: str) -> None:
        """Notes that the part `name` of the attempt is over, for the report's timings."""
        self._marks.append((name, time.time()))

    def marked(self, marks: list[tuple[str, float]]) -> None:
        """Takes over the times that a worker has noted."""
        self._marks += marks

    def notice(self, notice: Notice) -> None:
        """Keeps a fact that a person must see, and prints it where it is new."""
        if add_notice(self.dir, notice):
            say(f"notice: {notice}")

    def waits(self, code: str, reason: str, would_run: str) -> AbstractContextManager[None]:
        """Says why the attempt does not go on: see `said_waiting`."""
        return said_waiting(self.dir, code, reason, would_run)

    def run(
        self, work: Callable[[Self], Outcome], *, unreported: tuple[type[Exception], ...] = ()
    ) -> Report | Exception:
        """Does `work`, with everything printed kept in log.txt; the report, written last.

        Args:
            work: of this attempt.
            unreported: errors after which another attempt follows: they are returned, without a report.

        Raises:
            DiskFull: there is no room, not even for the report. StorageAway: see `keep`.
        """
        with full_disk_told(self.dir.path), closing(self.dir.log.appending()) as kept, tee_output(kept):
            self._logs = True
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
            say(f"{self._title}: {self.dir}")
            try:
                take_reserve(self.dir)
                report = self.report(outcome=work(self))
            except unreported as error:
                free_reserve(self.dir)
                say(f"{type(error).__name__}: {error}")
                return error
            except Cancelled as error:
                report = self.report(error=error)
            except RegionRebalanceError as error:  # it says all there is to say: see _say_end
                report = self.report(error=error)
            except Exception as error:  # the outermost frame: whatever it was belongs into the report
                log.exception("the run failed")
                report = self.report(error=error)
            self._say_end(report)
            self.finish(report)
        return report

    def finish(self, report: Report) -> None:
        """Tells MLflow; report.json comes last, for with it the attempt counts as ended."""
        self._finished = report
        self._tell_tracker(report)
        self.keep(report.model_copy(update=self._noted()))

    def last_words(self, error: BaseException) -> Report:
        """The report of an attempt that `error` ends from outside.

        What was measured stands if MLflow was already being told.
        """
        if self._finished is not None:
            return self._finished.model_copy(update=self._noted())
        return self.report(error=error)

    def keep(self, report: Report) -> None:
        """Writes report.json, for which room was kept.

        Raises:
            DiskFull: others have taken that, too.
            StorageAway: the storage that the attempt began in is not there. Another may be in its place, such
                as the directory where it was mounted: a report there would be lost, or be taken for one.
        """
        if self._logs and not self.dir.log.exists():
            raise StorageAway(str(self.dir), "the attempt's log is gone, and no report can be left beside it")
        free_reserve(self.dir)
        self._write(report)

    def _common(self, error: BaseException | None) -> dict[str, Any]:
        """The fields that every report has."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return {
            "state": End.of(error).reported,
            "error": attempt_error(error) if error else None,
            "started_at": self._started_at,
            "ended_at": utc_now_text(),
            **self._noted(),
            "timings": {name: max(0.0, end - begin) for (_, begin), (name, end) in pairs},
        }

    def _noted(self) -> dict[str, Any]:
        """What may be noted after the report was made: while MLflow is being told."""
        return {
            "mlflow_run_id": mlflow_ids(self._mlflow_run).get("run_id"),
            "notices": read_notices(self.dir),
        }


@contextmanager
def said_waiting(directory: AttemptDir, code: str, reason: str, would_run: str) -> Iterator[None]:
    """Says why an attempt does not go on while the block does, in its log and in waiting.json."""
    say(f"waiting for {code}: {reason}; {would_run}")
    begun = time.monotonic()
    with waiting(directory.waiting, code, reason, would_run):
        yield
    say(f"{code}: no longer waited for, after {time.monotonic() - begun:.0f} s")


def attempt_error(error: BaseException) -> AttemptError:
    """The report's form of an exception; what passes is worth another try: lost workers, full disks, and file
    systems that do not answer.
    """
    kind, message = type(error), str(error).strip() or "(no message)"
    if is_disk_full(error) and kind is not DiskFull:  # met where none of our writers stands
        kind, message = DiskFull, f"no space left on a disk that the job writes to: {message}"
    if isinstance(error, OSError) and error.errno in _NO_ANSWER and kind is not StorageAway:
        kind, message = StorageAway, f"a file system does not answer: {message}"
    passing = (WorkerLost, DiskFull, StorageAway)
    return AttemptError(type=kind.__name__, message=message[:4000], retryable=issubclass(kind, passing))


def utc_now_text() -> str:
    """Now, UTC, as reports write it: ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def say(text: str) -> None:
    """Prints a line at once: log.txt has it, too."""
    print(text, flush=True)
