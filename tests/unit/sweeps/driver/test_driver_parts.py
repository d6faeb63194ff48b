"""What a sweep's driver decides, without Ray: what runs again, what comes next, what a scheduler is told."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from sweeps.document.cost import cost_of
from sweeps.document.estimate import cost_line, pixel_seconds
from sweeps.document.expand import Trial, expand
from sweeps.document.spec import Limits, SweepSpec, parse_sweep
from sweeps.driver.policy import MOST_LOSSES, gpu_hours, limit_reached, shall_run, worth_another_try
from sweeps.driver.trial_records import read_trials, write_trial
from sweeps.job import main, sweep_id
from sweeps.results.report import read_sweep_report
from sweeps.results.trial_progress import TrialProgress, TrialState
from sweeps.search.candidates import Listed, Suggested
from sweeps.search.evaluations import Follower, Seen
from tests.data_factories import make_report, spec_document
from trainer.base.errors import Cancelled, Paused, StoppedEarly
from trainer.results.report import RunError, write_report
from trainer.storage.layout import AttemptDir, Storage
from trainer.storage.orders import Orders, ask_to_stop, permit, permitted, stop_asked
from trainer.storage.posix import PosixFile, PosixFolder

LOST = RunError(type="WorkerLost", message="m", retryable=True)
BAD = RunError(type="DataError", message="m")


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


def drawn_sweep(**changes: Any) -> SweepSpec:
    axes = [{"pointer": "/schedule/learning_rate", "loguniform": [0.001, 0.1]}]
    return sweep_of(axes=axes, search="optuna", limits={"trials": 3}, **changes)


@pytest.mark.parametrize(
    ("state", "error", "losses", "detached", "runs"),
    [
        ("waiting", None, 0, False, True),
        ("running", None, 0, False, True),
        ("running", None, MOST_LOSSES, False, True),
        ("waiting", None, 0, True, False),
        ("completed", None, 0, False, False),
        ("stopped", None, 0, False, False),
        ("cancelled", None, 0, False, False),
        ("failed", BAD, 0, False, False),
        ("failed", LOST, 1, False, True),
        ("failed", LOST, MOST_LOSSES, False, False),
        ("failed", LOST, 1, True, False),
    ],
)
def test_what_a_new_driver_runs(
    state: TrialState, error: RunError | None, losses: int, detached: bool, runs: bool
) -> None:
    """What ended is left alone, but for a lost worker with tries left; what somebody took over always is."""
    progress = TrialProgress(attempt=1, state=state, error=error)
    assert shall_run(progress, losses, detached=detached) is runs


@pytest.mark.parametrize("kind", ["DataError", "OutOfMemoryError", "NonFiniteLoss", "SpecError"])
def test_what_would_fail_again_is_not_tried_again(kind: str) -> None:
    """Only a lost worker is worth another try, and not for ever."""
    assert not worth_another_try(RunError(type=kind, message="m"), 0)
    assert worth_another_try(LOST, MOST_LOSSES - 1)
    assert not worth_another_try(LOST, MOST_LOSSES)


def test_limits() -> None:
    """Each limit is told by its number once it is reached; without limits nothing ever is."""
    assert limit_reached(Limits(), seconds=1e9, gpu_hours=1e9) is None
    assert limit_reached(Limits(seconds=10), seconds=9.9, gpu_hours=0) is None
    assert limit_reached(Limits(seconds=10), seconds=10, gpu_hours=0) == "10 seconds are over"
    assert limit_reached(Limits(gpu_hours=0.5), seconds=0, gpu_hours=0.6) == "0.5 GPU hours are used"


def test_trials_that_ended_are_told_first() -> None:
    """Before anything new is judged, a scheduler learns of all that ended; then the list goes on in order."""
    trials = expand(sweep_of(axes=[{"pointer": "/schedule/learning_rate", "grid": [0.1, 0.2]}]))
    source = Listed(trials, first=frozenset({1, 3}))
    order = [source.next() for _ in trials]
    assert [trial.number for trial in order if trial] == [1, 3, 0, 2]
    assert source.exhausted


def values_of(trials: list[Trial]) -> list[Any]:
    return [trial.settings["/schedule/learning_rate"] for trial in trials]


def drain(source: Suggested, score: float) -> list[Trial]:
    trials = []
    while (trial := source.next()) is not None:
        trials.append(trial)
        source.ended(trial.number, score)
    return trials


def test_optuna_draws_a_trial_for_each_seed() -> None:
    """As many draws as asked for, a trial for each seed, numbered without gaps; the same for one seed."""
    trials = drain(Suggested(drawn_sweep()), 1.0)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert [trial.spec.seed for trial in trials] == [0, 1] * 3
    assert len(set(values_of(trials))) == 3
    assert values_of(drain(Suggested(drawn_sweep()), 1.0)) == values_of(trials)


def test_optuna_after_a_restart() -> None:
    """Trials that ended are not drawn again, one that ran is run again, and new draws are new."""
    sweep = drawn_sweep()
    before = drain(Suggested(sweep), 1.0)[:3]
    known = [(before[0], (40.0,)), (before[1], (None,)), (before[2], None)]
    after = drain(Suggested(sweep, known), 1.0)  # type: ignore[arg-type]
    assert [trial.number for trial in after] == [2, 3, 4, 5]
    assert values_of(after)[0] == values_of(before)[2]
    assert after[1].spec.seed == 1, "the seed that the killed driver had not begun"
    assert after[1].settings == before[2].settings
    assert not set(values_of(after)[2:]) & set(values_of(before))


def test_optuna_for_each_variant() -> None:
    """Each variant has draws of its own: what suits one method says nothing of another."""
    variants = {"a": {"kind": "baseline"}, "b": {"kind": "dice"}}
    trials = drain(Suggested(drawn_sweep(variants=variants)), 1.0)
    assert [trial.variant for trial in trials] == ["a", "a", "b", "b"] * 3
    assert [trial.number for trial in trials] == list(range(12))


def evaluations(storage: Storage, attempt: int, *iterations: int) -> None:
    path = storage.attempt("t", attempt).metrics.local
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"kind": "eval", "iteration": each, "mIoU": float(each), "time": 1.0})
        for each in iterations
    ]
    with path.open("a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def test_a_trial_is_followed_over_its_attempts(tmp_path: Path) -> None:
    """Each evaluation comes once, whichever attempt made it; the last comes with the report, as the end."""
    storage = Storage.at(tmp_path)
    follower = Follower(storage, "t", metric="mIoU", last=8)
    assert follower.poll() is None
    evaluations(storage, 1, 2, 4)
    assert [follower.poll(), follower.poll(), follower.poll()] == [Seen(2, 2.0), Seen(4, 4.0), None]
    evaluations(storage, 2, 4, 6, 8)
    assert [follower.poll(), follower.poll()] == [Seen(6, 6.0), None]
    report = make_report()
    write_report(report, storage.attempt("t", 2).report)
    assert report.result is not None
    end = follower.poll()
    assert end == Seen(report.result.iterations, report.result.evaluation["single_scale"].mIoU, ended=True)


def test_a_stopped_trial_is_told_again_without_running(tmp_path: Path) -> None:
    """After a restart its evaluations and its end come from the files: a scheduler has its rungs again."""
    storage = Storage.at(tmp_path)
    evaluations(storage, 1, 2, 4)
    ended = make_report().model_copy(
        update={
            "state": "cancelled",
            "result": None,
            "error": RunError(type="StoppedEarly", message="stopped by asha"),
        }
    )
    write_report(ended, storage.attempt("t", 1).report)
    follower = Follower(storage, "t", metric="mIoU", last=8)
    told = [follower.poll() for _ in range(3)]
    assert told == [Seen(2, 2.0), Seen(4, 4.0), Seen(4, 4.0, ended=True)]
    follower.go_on()
    assert not storage.attempt("t", 1).permit.exists(), "nothing is asked of what has ended"


def test_a_failed_trial_has_no_score(tmp_path: Path) -> None:
    """Not even that of an earlier evaluation: a search would take it for how the setting does."""
    storage = Storage.at(tmp_path)
    evaluations(storage, 1, 2, 4)
    failed = make_report().model_copy(update={"state": "failed", "result": None, "error": BAD})
    write_report(failed, storage.attempt("t", 1).report)
    follower = Follower(storage, "t", metric="mIoU", last=8)
    assert [follower.poll() for _ in range(3)][-1] == Seen(4, None, ended=True)


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
        ('{"type": "Paused", "message": "m"}', Paused),
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
