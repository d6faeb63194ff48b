"""The job run by hand on a machine with no cluster: it starts one, and takes it down again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.factories import tiny_document
from trainer.results.report import read_report
from trainer.storage.layout import Storage
from trainer.storage.sink import read_records

pytestmark = pytest.mark.integration
LIMIT_SECONDS = 180.0


def begin(tmp_path: Path, **overrides: object) -> subprocess.Popen[bytes]:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(tiny_document(**overrides)))
    command = [sys.executable, "-m", "trainer.job", "--spec", str(spec), "--experiment", "e1"]
    with (tmp_path / "out.txt").open("wb") as out:
        return subprocess.Popen([*command, "--storage", str(tmp_path / "storage")], stdout=out, stderr=out)


def test_sigterm_leaves_a_report_and_no_cluster(tmp_path: Path) -> None:
    """Stopped while training: report cancelled, exit code 143, and (the module's fixture) no process."""
    process = begin(tmp_path, schedule={"iterations": 2000, "batch_size": 4})
    attempt = Storage.at(tmp_path / "storage").attempt("e1", 1)
    pause, end = threading.Event(), time.monotonic() + LIMIT_SECONDS
    while not read_records(attempt.metrics):
        assert process.poll() is None, (tmp_path / "out.txt").read_text()
        assert time.monotonic() < end
        pause.wait(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    report = read_report(attempt.report)
    assert report is not None
    assert report.state == "cancelled"
    assert report.error is not None
    assert "SIGTERM" in report.error.message
