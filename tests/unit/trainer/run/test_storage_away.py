"""A storage that goes while an attempt works: no report where it would be lost, and another try."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.data_factories import make_spec, make_task
from trainer.base.errors import StorageAway
from trainer.run.attempt import Attempt
from trainer.run.reported import attempt_error


def test_no_report_is_left_in_another_place(tmp_path: Path) -> None:
    """The directory where it was mounted stays empty: what has no report is tried again."""
    root = tmp_path / "storage"
    attempt = Attempt(make_task(make_spec(), root))

    def work(_running: Attempt) -> None:
        root.rename(tmp_path / "unmounted")
        root.mkdir()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(root / "scene.png"))

    with pytest.raises(StorageAway):
        attempt.run(work)  # type: ignore[arg-type]
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_file_system_that_does_not_answer_is_worth_another_try(number: int) -> None:
    told = attempt_error(OSError(number, "Stale file handle", "/nfs/a.png"))
    assert (told.type, told.retryable) == ("StorageAway", True)
    assert "/nfs/a.png" in told.message
