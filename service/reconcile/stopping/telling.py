"""What a job that is alive is told, each pass anew: to end now, or to rest at its next record."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta

from service.reconcile.cluster import Backend
from service.store.records import JobRow
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile

_ASKED = "it is to rest at its next record\n"


class Telling:
    """Tells jobs, and remembers since when each has been told to end: a service that starts begins anew."""

    def __init__(self, grace: timedelta) -> None:
        """`grace`: how long a job may take to end, and one that makes room to keep a checkpoint."""
        self._grace = grace
        self._since: dict[str, datetime] = {}
        self._spared: dict[str, datetime] = {}  # since when no pause is wanted any more

    def since(self, job_id: str) -> datetime | None:
        """When the job was first told to end; None where it was not."""
        return self._since.get(job_id)

    def keep(self, job_ids: Container[str]) -> None:
        """Forgets all but these: their rows have gone on, whoever saw to that, or were deleted."""
        self._since = {each: at for each, at in self._since.items() if each in job_ids}
        self._spared = {each: at for each, at in self._spared.items() if each in job_ids}

    def tell(
        self, row: JobRow, backend: Backend, attempt: AttemptDir, pause: StoredFile | None, now: datetime
    ) -> None:
        """Tells the row's job what is wanted of it, if anything is.

        It is stopped again each pass: a job that is still starting cannot be stopped yet. One that is to rest
        reads of it in the file `pause`, and writes its checkpoint first; before its first record it has none
        to write, and is stopped as well. Who makes room for another is asked to rest, so that nothing is
        trained twice, and stopped where that lasts longer than the grace.

        Raises:
            BackendUnreachable, OSError: it was not told; the next pass does it.
        """
        rests = pause is not None and self._rests(row, now)
        ends = row.stop_asked_at is not None and not rests
        if pause is not None and not ends:
            set_pause(pause, wanted=rests)
            self._forget_pause(row.job_id, attempt, now, wanted=rests)
        if ends:
            self._since.setdefault(row.job_id, now)
        put_off = rests and not attempt.metrics.size()
        if put_off and not attempt.put_off.exists():
            attempt.put_off.write(_ASKED)  # should the pause be taken back before the job has ended
        if ends or put_off:
            backend.stop(row.job_id)

    def _forget_pause(self, job_id: str, attempt: AttemptDir, now: datetime, *, wanted: bool) -> None:
        """A job that lives on so long after its pause was taken back was missed by the stop for it, as one is
        that was starting: whoever stops it from now on does not do it for that pause.
        """
        if wanted:
            self._spared.pop(job_id, None)
        elif attempt.put_off.exists() and now - self._spared.setdefault(job_id, now) >= self._grace:
            attempt.put_off.delete()

    def _rests(self, row: JobRow, now: datetime) -> bool:
        """Whether its job is to end at its next record, and not at once."""
        if row.cancel_requested_at is not None or row.timeout_requested_at is not None:
            return False
        if row.preempt_requested_at is not None:
            return now - row.preempt_requested_at < self._grace
        return row.pause_requested_at is not None


def set_pause(file: StoredFile, *, wanted: bool) -> None:
    """Writes or removes the file that asks a training to rest. Raises OSError."""
    if wanted == file.exists():
        return
    if wanted:
        file.write(_ASKED)
    else:
        file.delete()
