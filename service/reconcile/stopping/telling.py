"""What a job that is alive is told, each pass anew: to end now, or to rest at its next record."""

from __future__ import annotations

from service.reconcile.cluster import Backend
from service.store.records import JobRow
from trainer.storage.directories import AttemptDir
from trainer.storage.port import StoredFile

_ASKED = "pause was asked\n"


def tell_job(row: JobRow, backend: Backend, attempt: AttemptDir, pause: StoredFile | None) -> None:
    """Tells the row's job what is wanted of it, if anything is.

    It is stopped again each pass: a job that is still starting cannot be stopped yet. One that is to rest
    reads of it in the file `pause`, and writes its checkpoint first; before its first record it has none to
    write, and is stopped as well.

    Raises:
        BackendUnreachable, OSError: it was not told; the next pass does it.
    """
    if row.stop_asked_at is not None:
        backend.stop(row.job_id)
    elif pause is not None:
        wanted = row.pause_requested_at is not None
        set_pause(pause, wanted=wanted)
        if wanted and not attempt.metrics.size():
            backend.stop(row.job_id)


def set_pause(file: StoredFile, *, wanted: bool) -> None:
    """Writes or removes the file that asks a training to rest. Raises OSError."""
    if wanted == file.exists():
        return
    if wanted:
        file.write(_ASKED)
    else:
        file.delete()
