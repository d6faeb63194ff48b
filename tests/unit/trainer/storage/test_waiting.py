"""Why an attempt waits, as a file that is there only while it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trainer.storage.layout import Storage
from trainer.storage.waiting import read_waiting, waiting


def test_it_is_there_while_it_waits(tmp_path: Path) -> None:
    """With its kind, its words and its time; gone afterwards, also where the wait ends badly."""
    file = Storage.at(tmp_path).attempt("e1", 1).waiting
    assert read_waiting(file) is None
    with waiting(file, "nodes", "no GPU", "one comes"):
        found = read_waiting(file)
        assert found is not None
        assert (found.code, found.reason, found.would_run) == ("nodes", "no GPU", "one comes")
        assert timedelta() <= datetime.now(UTC) - found.since < timedelta(minutes=1)
    assert read_waiting(file) is None
    with pytest.raises(KeyError), waiting(file, "nodes", "no GPU", "one comes"):
        raise KeyError
    assert read_waiting(file) is None


def test_what_is_no_such_file(tmp_path: Path) -> None:
    """Damaged, it says nothing; where none can be written, the wait goes on all the same."""
    file = Storage.at(tmp_path).attempt("e1", 1).waiting
    file.write("{")
    assert read_waiting(file) is None
    (tmp_path / "runs/e2").write_text("a file where the folder should be")
    with waiting(Storage.at(tmp_path).attempt("e2", 1).waiting, "nodes", "no GPU", "one comes"):
        pass
