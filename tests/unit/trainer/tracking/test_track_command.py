"""`python -m trainer.track`: what it refuses before MLflow is asked, and what is noted of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data_factories import make_report
from trainer.results.report import write_report
from trainer.storage.layout import Storage
from trainer.storage.notices import read_notices
from trainer.storage.tracking import CODE, Trouble, read_record
from trainer.track import main
from trainer.tracking.outcome import TrackingOutcome
from trainer.tracking.trouble import TrackerError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--experiment", "e1"], "--mlflow-uri: is missing"),
        (["--experiment", "e1", "--mlflow-uri", "http://me:secret@host"], "no user or password"),
        (["--experiment", "../e1", "--mlflow-uri", "http://host"], "refused"),
        (["--experiment", "e1", "--mlflow-uri", "http://host", "--status", "DONE"], "FINISHED"),
        (["--experiment", "e1", "--mlflow-uri", "http://host", "--number", "-1"], "an integer >= 1"),
    ],
)
def test_a_wrong_command_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what is allowed; no password is repeated."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--storage", str(tmp_path)])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in told
    assert "secret" not in told


def test_an_experiment_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the directory where it would be."""
    assert main(["--experiment", "e1", "--storage", str(tmp_path), "--mlflow-uri", "http://host"]) == 2
    assert str(tmp_path / "runs" / "e1") in capsys.readouterr().err


def test_a_log_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and one line, before MLflow is asked."""
    storage = Storage.at(tmp_path)
    write_report(make_report("e1"), storage.attempt("e1", 1).report)
    storage.tracked("e1").request(1).log.local.mkdir(parents=True)
    arguments = ["--experiment", "e1", "--storage", str(tmp_path), "--mlflow-uri", "http://host"]
    assert main([*arguments, "--number", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("e1: IsADirectoryError: ")


def test_trouble_is_noted_and_its_end(tmp_path: Path) -> None:
    """A record for programs and a notice for people; "caught up" is said only after something was missing."""
    storage = Storage.at(tmp_path)
    outcome = TrackingOutcome(storage, "e1", 1, by="attempt 1")
    outcome.taken()
    assert read_notices(storage.attempt("e1", 1)) == ()
    outcome.trouble(TrackerError("403", Trouble.REFUSED), "curves")
    record = read_record(storage.tracked("e1").record)
    assert record is not None
    assert (record.behind, record.trouble, record.by) == (True, Trouble.REFUSED, "attempt 1")
    assert record.text == "MLflow refused: 403. Missing there: curves"
    outcome.taken()
    assert not outcome.behind
    notices = read_notices(storage.attempt("e1", 1))
    assert [notice.code for notice in notices] == [CODE, CODE]
    assert notices[0].hint is not None
    assert "rebalance track e1" in notices[0].hint
    assert notices[1].text == "tracking caught up: nothing is missing in MLflow any more"


def test_a_storage_that_fails_ends_nothing(tmp_path: Path) -> None:
    """A note that cannot be written costs a warning: the training knows nothing of it."""
    (tmp_path / "runs").write_text("no directory")
    TrackingOutcome(Storage.at(tmp_path), "e1", 1, by="attempt 1").trouble(TrackerError("403"), "curves")
