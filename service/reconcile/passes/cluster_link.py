"""The cluster as one pass sees it: asked no more once it did not answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from service.reconcile.cluster import Backend, JobObservation, JobStatus
from service.store.records import JobRow
from trainer.storage.port import StoredFile
from trainer.storage.waiting import Waiting, no_longer_waiting, note_waiting, read_waiting

log = logging.getLogger(__name__)


class BackendLink:
    """The backend, asked no more in a pass in which it did not answer: one timeout a pass is enough.

    `note` is a file that says since when it does not, for who asks why something waits.
    """

    def __init__(self, backend: Backend, note: StoredFile) -> None:
        self.backend = backend
        self.reachable = self._was_reachable = True
        self._note = note
        self._now = datetime.now(UTC)
        self._seen: dict[str, JobObservation] = {}

    def new_pass(self, now: datetime) -> None:
        self._was_reachable, self.reachable, self._now = self.reachable, True, now
        self._seen = {}
        if self._was_reachable:
            no_longer_waiting(self._note)

    def look_ahead(self, rows: Sequence[JobRow]) -> None:
        """Looks at all their jobs at once, as far as the cluster can; `look` asks for the rest."""
        if self.reachable and rows:
            self._seen.update(self.backend.statuses([row.job_id for row in rows]))

    def look(self, job_id: str) -> JobObservation:
        """How the job stands; UNREACHABLE without asking where nobody answered in this pass."""
        if not self.reachable:
            return JobObservation(JobStatus.UNREACHABLE)
        job = self._seen.pop(job_id, None) or self.backend.status(job_id)
        if job.status is JobStatus.UNREACHABLE:
            self.note_unreachable(job.message)
        return job

    def note_unreachable(self, reason: str) -> None:
        if self.reachable and self._was_reachable:  # once, not in every pass
            log.warning("cluster unreachable", extra={"reason": reason})
        if self.reachable and read_waiting(self._note) is None:
            note_waiting(self._note, _unreachable(reason, self._now))
        self.reachable = False


def _unreachable(reason: str, now: datetime) -> Waiting:
    return Waiting(
        code="unreachable",
        reason=f"Ray cannot be reached: {reason}",
        would_run="once it answers: nothing is lost meanwhile",
        since=now,
    )
