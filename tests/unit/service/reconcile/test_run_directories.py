"""Reading run directories while somebody writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.reconcile import run_directories
from trainer.storage.layout import Storage, mlflow_ids


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    for attempt in (1, 2):
        (tmp_path / "runs" / "e1" / str(attempt)).mkdir(parents=True)
    return Storage(tmp_path)


def text(storage: Storage, offset: int, attempts: range = range(1, 3)) -> tuple[bytes, int]:
    piece = run_directories.log_slice((storage.attempt("e1", each) for each in attempts), offset)
    return b"".join(piece.chunks()), piece.end


def test_logs_of_attempts_follow_each_other(storage: Storage) -> None:
    """Any offset into the whole gives the rest, and the end to go on from."""
    storage.attempt("e1", 1).log.write(b"first\n")
    storage.attempt("e1", 2).log.write(b"second\n")
    whole = b"first\nsecond\n"
    for offset in range(len(whole) + 1):
        assert text(storage, offset) == (whole[offset:], len(whole))
    assert text(storage, 99) == (b"", 99)
    assert text(storage, 0, range(2, 3)) == (b"second\n", 7)


def test_missing_logs_are_empty(storage: Storage) -> None:
    """An experiment that has not started has a log of no bytes."""
    assert text(storage, 0) == (b"", 0)
    assert run_directories.progress_of(storage, "e1", 1, 100) is None
    assert list(run_directories.metric_lines(storage, "e9", range(1, 3))) == []


@given(st.text(alphabet="aé√\N{GRINNING FACE}\n", max_size=20), st.integers(0, 3))
def test_a_slice_never_ends_inside_a_character(whole: str, missing: int) -> None:
    """While the end of a character is still being written, the slice ends before it."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        storage = Storage(Path(directory))
        path = storage.attempt("e1", 1).log.local
        path.parent.mkdir(parents=True)
        encoded = whole.encode()
        path.write_bytes(encoded[: max(0, len(encoded) - missing)])
        got, end = text(storage, 0, range(1, 2))
        assert whole.startswith(got.decode())
        path.write_bytes(encoded)
        rest, _ = text(storage, end, range(1, 2))
        assert (got + rest).decode() == whole


def test_metric_lines(storage: Storage) -> None:
    """Half a line waits, a broken one is left out, NaN becomes null, and each line says its attempt."""
    good = {"kind": "train", "iteration": 10, "loss": 0.5}
    storage.attempt("e1", 1).metrics.write(json.dumps(good) + '\nrubbish\n[1]\n{"kind": "ev')
    storage.attempt("e1", 2).metrics.write('{"kind": "train", "iteration": 20, "loss": NaN}\n')
    assert list(run_directories.metric_lines(storage, "e1", range(1, 3))) == [
        {**good, "attempt": 1},
        {"kind": "train", "iteration": 20, "loss": None, "attempt": 2},
    ]


def test_progress_is_the_newest_training_line(storage: Storage) -> None:
    """Evaluation lines do not hide it, and a long file is read at its end only."""
    lines = [{"kind": "train", "iteration": i, "loss": i / 7, "padding": "x" * 100} for i in range(2000)]
    lines.append({"kind": "eval", "iteration": 1999, "mIoU": 12.0})
    storage.attempt("e1", 1).metrics.write("".join(json.dumps(line) + "\n" for line in lines))
    assert run_directories.progress_of(storage, "e1", 1, 5000) == {
        "iteration": 1999,
        "iterations": 5000,
        "loss": pytest.approx(1999 / 7),
    }


def test_when_training_will_have_ended(storage: Storage) -> None:
    """From the newest line alone: a pace of before a pause says nothing about now."""
    line = {"kind": "train", "iteration": 40, "time": 1000.0, "seconds_per_iteration": 0.5}
    storage.attempt("e1", 1).metrics.write(json.dumps(line) + "\n")
    found = run_directories.progress_of(storage, "e1", 1, 100)
    assert found is not None
    assert found["expected_end"] == "1970-01-01T00:17:10+00:00"  # 1000 s and 60 iterations of 0.5 s


@pytest.mark.parametrize("pace", [None, "fast", 1e300])
def test_a_pace_that_is_none_gives_no_end(storage: Storage, pace: object) -> None:
    line = {"kind": "train", "iteration": 40, "time": 1000.0, "seconds_per_iteration": pace}
    storage.attempt("e1", 1).metrics.write(json.dumps(line) + "\n")
    assert "expected_end" not in (run_directories.progress_of(storage, "e1", 1, 100) or {})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": 3}'])
def test_mlflow_json_that_is_not_ready_is_no_run(storage: Storage, content: str) -> None:
    """A file just being written gives nothing, not an error."""
    storage.mlflow_run("e1").write(content)
    assert mlflow_ids(storage.mlflow_run("e1")) == {}
