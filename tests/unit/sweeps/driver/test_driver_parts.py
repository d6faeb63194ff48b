"""What a sweep's driver decides, without Ray: what runs again, what is kept, what is refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.cost import cost_of
from sweeps.document.estimate import cost_line, pixel_seconds
from sweeps.document.expand import expand
from sweeps.document.spec import Limits, SweepSpec, parse_sweep
from sweeps.driver.decide import MOST_LOSSES, gpu_hours, limit_reached, shall_run, worth_another_try
from sweeps.driver.trial_records import read_trials, write_trial
from sweeps.job import main, sweep_id
from sweeps.results.report import read_sweep_report
from sweeps.results.trial_progress import TrialProgress
from tests.data_factories import make_report, spec_document
from trainer.base.ends import End
from trainer.base.errors import Cancelled, StoppedEarly
from trainer.results.report import AttemptError
from trainer.storage.directories import AttemptDir
from trainer.storage.layout import Storage
from trainer.storage.orders import Orders, ask_to_stop, permit, permitted, stop_asked
from trainer.storage.posix import PosixFile, PosixFolder

LOST = AttemptError(type="WorkerLost", message="m", retryable=True)
BAD = AttemptError(type="DataError", message="m")


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


@pytest.mark.parametrize(
    ("end", "error", "losses", "detached", "runs"),
    [
        (None, None, 0, False, True),
        (None, None, MOST_LOSSES, False, True),
        (None, None, 0, True, False),
        (End.COMPLETED, None, 0, False, False),
        (End.STOPPED, None, 0, False, False),
        (End.CANCELLED, None, 0, False, False),
        (End.FAILED, BAD, 0, False, False),
        (End.FAILED, LOST, 1, False, True),
        (End.FAILED, LOST, MOST_LOSSES, False, False),
        (End.FAILED, LOST, 1, True, False),
    ],
)
def test_what_a_new_driver_runs(
    end: End | None, error: AttemptError | None, losses: int, detached: bool, runs: bool
) -> None:
    """What ended is left alone, but for a lost worker with tries left; what somebody took over always is."""
    progress = TrialProgress(attempt=1, end=end, error=error)
    assert shall_run(progress, losses, detached=detached) is runs


@pytest.mark.parametrize("kind", ["DataError", "OutOfMemoryError", "NonFiniteLoss", "SpecError"])
def test_what_would_fail_again_is_not_tried_again(kind: str) -> None:
    """Only a lost worker is worth another try, and not for ever."""
    assert not worth_another_try(AttemptError(type=kind, message="m"), 0)
    assert worth_another_try(LOST, MOST_LOSSES - 1)
    assert not worth_another_try(LOST, MOST_LOSSES)


def test_limits() -> None:
    """Each limit is told by its number once it is reached; without limits nothing ever is."""
    assert limit_reached(Limits(), seconds=1e9, gpu_hours=1e9) is None
    assert limit_reached(Limits(seconds=10), seconds=9.9, gpu_hours=0) is None
    assert limit_reached(Limits(seconds=10), seconds=10, gpu_hours=0) == "10 seconds have passed"
    assert limit_reached(Limits(gpu_hours=0.5), seconds=0, gpu_hours=0.6) == "0.5 GPU hours are used up"


def test_a_judged_trial_waits_for_its_permit(tmp_path: Path) -> None:
    """It goes on when the permit names its evaluation, at once after the last, and ends when told to stop."""
    stop, let = PosixFile(tmp_path / "stop"), PosixFile(tmp_path / "permit")
    orders = Orders(AttemptDir(PosixFolder(tmp_path / "2")), stop=stop, permit=let, last=6)
    passed = threading.Event()

    def go(iteration: int) -> None:
        orders.obey({"kind": "eval", "iteration": iteration})
        passed.set()

    thread = threading.Thread(target=go, args=(2,))
    thread.start()
    assert not passed.wait(0.1)
    permit(let, 2)
    assert passed.wait(10)
    thread.join()
    assert permitted(let) == 2
    orders.obey({"kind": "eval", "iteration": 6})
    ask_to_stop(stop, StoppedEarly("at iteration 4"))
    with pytest.raises(StoppedEarly, match="at iteration 4"):
        orders.obey({"kind": "eval", "iteration": 4})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Cancelled),
        ("enough", Cancelled),
        ('{"type": "StoppedEarly", "message": "m"}', StoppedEarly),
        ("[1]", Cancelled),
    ],
)
def test_stop_files(tmp_path: Path, text: str, kind: type[Cancelled]) -> None:
    """Any stop file stops; one in the driver's form also says why. No file, no stop."""
    path = PosixFile(tmp_path / "stop")
    assert stop_asked(path) is None
    path.write(text)
    assert type(stop_asked(path)) is kind
    ask_to_stop(path, StoppedEarly("m"))
    assert path.read_text() == text, "whoever asked first is obeyed"


def test_trials_are_noted_once(tmp_path: Path) -> None:
    """What a trial was begun as stays, and reads back equal."""
    directory = Storage.at(tmp_path).sweep("s")
    trials = expand(sweep_of(axes=[{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}]))
    for trial in trials:
        write_trial(directory, trial, f"s-{trial.number}")
    write_trial(directory, trials[1].__class__(1, "other", None, {}, trials[1].spec), "s-1")
    assert read_trials(directory) == trials


def test_estimate_is_the_median_of_what_was_like_it() -> None:
    """Runs of the same model, crop, batch and resources count; resumed ones and others do not."""
    report = make_report()
    assert report.result is not None
    seconds = [10.0, 20.0, 90.0]
    runs = [
        report.model_copy(update={"result": report.result.model_copy(update={"train_seconds": each})})
        for each in seconds
    ]
    resumed = runs[0].model_copy(update={"attempt": 2})
    measured = pixel_seconds([*runs, resumed])
    cost = cost_of([report.spec], pixel_seconds=measured)
    assert cost.train_seconds == pytest.approx(20.0)
    assert "about 20 s" in cost_line(cost, 2)
    assert measured(expand(sweep_of(base=spec_document(resources={"workers": 2})))[0].spec) is None
    assert gpu_hours([report]) == 0


def test_a_sweep_is_refused_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem by its pointer, exit code 2, nothing written; so is another sweep under a used id."""
    path, storage = tmp_path / "sweep.json", tmp_path / "storage"
    document = {"base": spec_document(), "axes": [{"pointer": "/method/lambd", "grid": [1]}]}
    path.write_text(json.dumps(document))
    assert main(["--spec", str(path), "--storage", str(storage)]) == 2
    assert "/axes/0/pointer" in capsys.readouterr().err
    assert not storage.exists()

    sweep = sweep_of()
    directory = Storage.at(storage).sweep("s").spec.local
    directory.parent.mkdir(parents=True)
    directory.write_text(sweep.model_dump_json())
    path.write_text(sweep_of(seeds=[7]).model_dump_json())
    assert main(["--spec", str(path), "--storage", str(storage), "--sweep", "s"]) == 2
    assert "s is another sweep's id" in capsys.readouterr().err
    path.write_text(sweep_of(limits={"seconds": 5}).model_dump_json())
    assert main(["--spec", str(path), "--storage", str(storage), "--sweep", "s", "--list"]) == 0


def test_who_waits_for_a_report_gets_one(tmp_path: Path) -> None:
    """A sweep that was accepted once and whose data are gone: the attempt that was named ends failed, and
    its report says why, so that it is not tried again.
    """
    gone = spec_document(dataset={"name": "folder", "root": str(tmp_path / "gone")})
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"base": gone}))
    command = ["--spec", str(path), "--storage", str(tmp_path), "--sweep", "s", "--attempt", "2"]
    assert main([*command, "--list"]) == 2
    where = Storage.at(tmp_path).sweep("s").attempt(2).report
    assert not where.exists()
    assert main(command) == 2
    report = read_sweep_report(where)
    assert report is not None
    assert report.state == "failed"
    assert report.error is not None
    assert (report.error.type, report.error.retryable) == ("SpecError", False)
    assert "/base/dataset/root" in report.error.message


def test_list_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--list prints each trial and the cost, and leaves no file."""
    path, storage = tmp_path / "sweep.json", tmp_path / "storage"
    axes = [{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}]
    path.write_text(sweep_of(axes=axes).model_dump_json())
    assert main(["--spec", str(path), "--storage", str(storage), "--list"]) == 0
    shown = capsys.readouterr().out
    assert "learning_rate=0.2, seed 1" in shown
    assert "4 trials" in shown
    assert not storage.exists()


def test_an_id_is_made_from_the_document() -> None:
    """The same document has the same id, so that the same command goes on; another has another."""
    assert sweep_id(sweep_of()) == sweep_id(sweep_of())
    assert sweep_id(sweep_of()) != sweep_id(sweep_of(seeds=[0]))
