"""What MLflow took and what it did not, kept where the service and people find it: a record, and notices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainer.storage.layout import Storage
from trainer.storage.notices import Notice, add_notice
from trainer.storage.tracking import CODE, TrackingRecord, read_record, write_record
from trainer.tracking.trouble import TrackerError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackingOutcome:
    """Of one who sends: `by` is "attempt N", or "track N" for one that sends everything again."""

    storage: Storage
    experiment: str
    attempt: int
    by: str

    @property
    def behind(self) -> bool:
        """Whether something that was to be sent before is missing."""
        record = read_record(self.storage.tracked(self.experiment).record)
        return record is not None and record.behind

    def trouble(self, error: TrackerError, missing: str) -> None:
        """Notes that `missing` is not in MLflow, and why."""
        log.warning(error.told)
        text = f"{error.told}. Missing there: {missing}"
        with self._storage_may_fail():
            self._write(TrackingRecord(state="behind", by=self.by, trouble=error.kind, text=text))
            hint = (
                f"`rebalance track {self.experiment}` sends it; a service that started this does so by itself"
                " once MLflow takes it"
            )
            self._notice(Notice(code=CODE, text=text, hint=hint))

    def taken(self) -> None:
        """Notes that MLflow has all that was to be sent so far."""
        with self._storage_may_fail():
            was_behind = self.behind
            self._write(TrackingRecord(state="ok", by=self.by))
            if was_behind:
                self._notice(
                    Notice(code=CODE, text="tracking caught up: nothing is missing in MLflow any more")
                )

    def fact(self, text: str) -> None:
        """Notes what is so in MLflow, without anything missing."""
        with self._storage_may_fail():
            self._notice(Notice(code=CODE, text=text))

    def _write(self, record: TrackingRecord) -> None:
        write_record(self.storage.tracked(self.experiment).record, record)

    def _notice(self, notice: Notice) -> None:
        add_notice(self.storage.attempt(self.experiment, self.attempt), notice)

    @contextmanager
    def _storage_may_fail(self) -> Iterator[None]:
        """A full disk ends a training where it must, not over a note about MLflow."""
        try:
            yield
        except OSError as error:
            log.warning("what MLflow took is not noted: %s", error)
