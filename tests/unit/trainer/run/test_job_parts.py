"""What surrounds training: records, copies of the output, causes of failure, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from tests.factories import tiny_document, tiny_spec
from trainer.base.errors import Cancelled, DataError, WorkerLost
from trainer.base.tee import tee_output
from trainer.job import main
from trainer.results.report import read_report
from trainer.run.launch import cause_of
from trainer.run.reported import attempt_error
from trainer.spec.spec import canonical_json
from trainer.storage.layout import Storage
from trainer.storage.orders import Orders
from trainer.storage.posix import PosixFile
from trainer.storage.sink import FileSink, Record, read_records
from trainer.tracking.run_log import metrics_in


def test_sink_writes_whole_lines(tmp_path: Path) -> None:
    """Every record becomes one JSON line with a time; what is not JSON (NaN) is left out, not written."""
    forwarded: list[Record] = []
    file = Storage(tmp_path).attempt("e1", 1).metrics
    sink = FileSink(file, orders=Orders(Storage(tmp_path).attempt("e1", 2)), forward=forwarded.append)
    sink.emit({"kind": "train", "iteration": 1, "loss": float("nan"), "loss_pixel": 0.5})
    sink.close()
    (record,) = read_records(file)
    assert record.pop("time") > 0
    assert record == {"kind": "train", "iteration": 1, "loss_pixel": 0.5}
    assert len(forwarded) == 1


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    """A kill in the middle of a line costs that line only."""
    path = PosixFile(tmp_path / "metrics.jsonl")
    path.write('{"kind": "train", "iteration": 1}\n{"kind": "tra')
    assert [record["iteration"] for record in read_records(path)] == [1]
    assert read_records(PosixFile(tmp_path / "none.jsonl")) == []


def test_a_newer_attempt_stops_the_older(tmp_path: Path) -> None:
    """Two attempts never write the same checkpoints: the older ends at its next record."""
    older, newer = (Storage(tmp_path).attempt("e1", number) for number in (1, 2))
    sink = FileSink(older.metrics, orders=Orders(newer), forward=lambda _: None)
    sink.emit({"kind": "train", "iteration": 1})
    newer.folder.make()
    with pytest.raises(Cancelled, match="newer attempt"):
        sink.emit({"kind": "train", "iteration": 2})
    sink.close()


def test_metrics_of_a_record() -> None:
    """MLflow gets the numbers under the kind's name, and nothing of events."""
    record = {"kind": "eval", "iteration": 4, "time": 1.5, "mIoU": 20.5, "message": "x"}
    assert metrics_in(record) == {"eval/mIoU": 20.5}
    assert metrics_in({"kind": "event", "iteration": 4, "message": "x"}) == {}


def test_tee_copies_what_c_libraries_print(tmp_path: Path) -> None:
    """Python's output, the descriptor's and a child's all reach the file and the terminal."""
    code = (
        "import os, subprocess, sys; from pathlib import Path; from trainer.base.tee import tee_output\n"
        f"with Path({str(tmp_path / 'log.txt')!r}).open('ab', buffering=0) as log, tee_output(log):\n"
        "    print('python'); os.write(2, b'descriptor\\n')\n"
        "    subprocess.run(['echo', 'child'], check=True)\n"
        "print('after')"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    logged = (tmp_path / "log.txt").read_text()
    assert sorted(logged.split()) == ["child", "descriptor", "python"]
    assert "after" in shown
    assert "child" in shown


def test_tee_appends(tmp_path: Path) -> None:
    """What was in the log stays."""
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    with log.open("ab", buffering=0) as stream, tee_output(stream):
        os.write(1, b"now\n")
    assert log.read_text() == "before\nnow\n"


class Wrapped(Exception):
    """As Ray wraps what a training function raised."""

    def __init__(self, base: BaseException) -> None:
        super().__init__(str(base))
        self._base_exc = base


def test_cause_is_the_workers_own_error() -> None:
    """Out of Ray's wrappers comes what the first telling rank raised."""
    echo = RuntimeError("[gloo] Connection closed by peer")
    error = WorkerGroupError("two failed", {0: Wrapped(echo), 1: Wrapped(DataError("mask 7"))})  # type: ignore[dict-item]
    cause = cause_of(error)
    assert isinstance(cause, DataError)
    assert attempt_error(cause).model_dump() == {"type": "DataError", "message": "mask 7", "retryable": False}


@pytest.mark.parametrize(
    "error",
    [
        WorkerGroupError("died", {0: ActorDiedError()}),
        ControllerError(RuntimeError("node is gone")),
        ControllerError(RuntimeError()),
    ],
    ids=["worker", "controller", "without a message"],
)
def test_a_death_without_words_is_a_lost_worker(error: Exception) -> None:
    """A worker that left no exception was killed or its node is gone: worth another attempt."""
    cause = cause_of(error)
    assert isinstance(cause, WorkerLost)
    assert attempt_error(cause).retryable


@pytest.mark.parametrize(
    "words",
    [
        "[gloo/transport/tcp/pair.cc:537] Read error [10.0.0.5]:17551: Connection reset by peer",
        "ncclRemoteError",
    ],
)
@pytest.mark.parametrize("other", [{}, {1: ActorDiedError()}], ids=["alone", "with the death"])
def test_a_rank_whose_peer_was_killed_tells_of_a_loss(words: str, other: dict[int, Any]) -> None:
    """Its connections are closed before Ray sees the death: worth another attempt, as the death itself."""
    failures = {0: Wrapped(RuntimeError(words)), **other}
    cause = cause_of(WorkerGroupError("failed", failures))
    assert isinstance(cause, WorkerLost)
    assert attempt_error(cause).retryable


def test_a_collective_that_fails_for_another_reason_is_no_loss() -> None:
    """Only the other's absence is: the rest would happen again."""
    cause = cause_of(WorkerGroupError("failed", {0: Wrapped(RuntimeError("shapes differ"))}))  # type: ignore[dict-item]
    assert not attempt_error(cause).retryable


def test_memory_that_ran_out_is_no_loss() -> None:
    """It would run out again: out of memory stays what it is, and is final."""
    cause = cause_of(WorkerGroupError("died", {0: ActorDiedError(), 1: OutOfMemoryError("too much")}))
    assert attempt_error(cause).model_dump(include={"type", "retryable"}) == {
        "type": "OutOfMemoryError",
        "retryable": False,
    }


def test_a_bad_spec_is_refused_with_pointers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The job names every problem by pointer, prints no traceback, and leaves nothing behind."""
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(tiny_document(seed=-1) | {"modell": 1}))
    assert main(["--spec", str(path), "--storage", str(tmp_path / "storage")]) == 2
    shown = capsys.readouterr().err
    assert "/seed: " in shown
    assert "/modell: " in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "storage").exists()


def test_data_that_vanished_is_reported(tmp_path: Path) -> None:
    """A spec the service accepted whose folder is gone at job start ends failed, with a report."""
    document = json.loads(canonical_json(tiny_spec()))
    document["dataset"] = {"name": "folder", "root": str(tmp_path / "gone")}
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(document))
    arguments = ["--spec", str(path), "--storage", str(tmp_path), "--experiment", "e1", "--attempt", "2"]
    assert main(arguments) == 2
    report = read_report(Storage.at(tmp_path).attempt("e1", 2).report)
    assert report is not None
    assert report.error is not None
    assert report.state == "failed"
    assert "/dataset/root" in report.error.message


def test_plan_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--plan-only prints the rendered plan as JSON and starts nothing."""
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(tiny_document()))
    assert main(["--spec", str(path), "--storage", str(tmp_path), "--experiment", "e1", "--plan-only"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["train_cfg"]["max_iters"] == 4
    assert plan["frequencies"]["region"][0] == 50
    assert not Storage.at(tmp_path).experiment("e1").exists()
