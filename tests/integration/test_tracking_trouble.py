"""MLflow's client against servers in trouble: each is told apart, and none is waited for."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.mlflow_stub import Answering, BinThatKeeps, always, stub
from trainer.storage.posix import PosixFile
from trainer.storage.tracking import Trouble
from trainer.tracking.mlflow_tracker import MlflowTracker
from trainer.tracking.tracker import RunIds, RunInfo, open_noted
from trainer.tracking.trouble import TrackerError

pytestmark = pytest.mark.integration
INFO = RunInfo(group="digit_scenes", name="one", params={"a": "1"}, tags={})
FULL = {
    "error_code": "TEMPORARILY_UNAVAILABLE",
    "message": "(sqlite3.OperationalError) database or disk is full",
}
LIMIT_SECONDS = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits that a job has, in small: no retry, a second for an answer."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")


@pytest.mark.parametrize(
    ("answering", "kind", "words"),
    [
        (always(401, "<html>who are you</html>"), Trouble.LOCKED, "401"),
        (
            always(403, {"error_code": "PERMISSION_DENIED", "message": "not yours"}),
            Trouble.REFUSED,
            "not yours",
        ),
        (always(507, "Insufficient Storage"), Trouble.FULL, "507"),
        (always(503, "<html>later</html>"), Trouble.BROKEN, "503"),
        (always(429, "slow down"), Trouble.BROKEN, "429"),
        (always(404, "<html>a web page</html>"), Trouble.BROKEN, "404"),
        (always(200, "<html>log in here</html>"), Trouble.BROKEN, "JSON"),
        (None, Trouble.SLOW, "timed out"),
    ],
)
def test_each_trouble_is_told_apart(answering: Answering | None, kind: Trouble, words: str) -> None:
    """The kind, and what the server said; soon, also where it asks to be left alone for an hour."""
    began = time.monotonic()
    with stub(answering) as uri, pytest.raises(TrackerError, match=words) as caught:
        MlflowTracker(uri).open(INFO)
    assert caught.value.kind is kind
    assert time.monotonic() - began < LIMIT_SECONDS


def test_nobody_there() -> None:
    """An address where nobody listens fails at once, in few words."""
    with pytest.raises(TrackerError) as caught:
        MlflowTracker("http://127.0.0.1:9").open(INFO)
    assert caught.value.kind is Trouble.UNREACHABLE
    assert str(caught.value) == "[Errno 111] Connection refused"


def test_a_full_disk_is_seen_behind_mlflows_retries() -> None:
    """MLflow answers 503 where its database is full, and its client drops the words: we ask for them."""
    bin_that_keeps = BinThatKeeps("other")

    def full(path: str, document: dict[str, object]) -> tuple[int, object]:
        read = path.startswith("experiments/get") or path == "experiments/create"
        return bin_that_keeps(path, document) if read else (503, FULL)

    with stub(full) as uri, pytest.raises(TrackerError) as caught:
        MlflowTracker(uri).open(INFO)
    assert caught.value.kind is Trouble.FULL
    assert "disk is full" in str(caught.value)


def test_where_nothing_may_be_restored_all_is_made_anew(tmp_path: Path) -> None:
    """The experiment in MLflow's bin keeps its name: a new one has a number behind it, and is found again."""
    with stub(BinThatKeeps("digit_scenes")) as uri:
        note = PosixFile(tmp_path / "one.json")
        made = open_noted(MlflowTracker(uri), note, INFO)
        assert made.ids == RunIds("r0", "2")
        assert json.loads(note.read_text())["run_id"] == "r0"
        assert open_noted(MlflowTracker(uri), PosixFile(tmp_path / "two.json"), INFO).ids == RunIds("r1", "2")


def test_an_address_that_is_none() -> None:
    """A wrong URI is trouble like any other: the training goes on."""
    with pytest.raises(TrackerError):
        MlflowTracker("nowhere://x").open(INFO)
