"""What passes between Tune and a sweep's driver, without Ray: trials begun, ends told, verdicts passed on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from sweeps.document.expand import Trial, expand
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.search.candidates import Listed
from sweeps.search.evaluations import Evaluation, EvaluationReader
from sweeps.search.protocol import TrialDriver
from sweeps.search.tune import ENVIRONMENT, Decisions, Feed, prepare_environment
from sweeps.search.tune_trial import Followed, next_evaluation, told
from tests.data_factories import spec_document
from trainer.base.errors import StoppedEarly
from trainer.storage.layout import Storage
from trainer.storage.orders import permitted


class Remembering(TrialDriver):
    """A driver that remembers what it was asked, and runs nothing."""

    def __init__(self, room: int = 2) -> None:
        self.places = room
        self.limited = False
        self.begun: list[tuple[int, bool]] = []
        self.stopped: list[tuple[int, str]] = []
        self.rounds = 0

    def room(self) -> int:
        return self.places

    def may_begin(self) -> bool:
        return not self.limited

    def begin(self, trial: Trial, *, last: bool) -> None:
        self.begun.append((trial.number, last))

    def stop(self, number: int, reason: StoppedEarly) -> None:
        self.stopped.append((number, str(reason)))

    def check_in(self) -> None:
        self.rounds += 1


class Source(Listed):
    """A list that remembers how its trials did."""

    def __init__(self, trials: tuple[Trial, ...]) -> None:
        super().__init__(trials)
        self.ends: list[tuple[int, float | None]] = []

    def ended(self, number: int, value: float | None) -> None:
        self.ends.append((number, value))


def sweep_of(**changes: Any) -> SweepSpec:
    base = spec_document(evaluation={"interval": 2}, schedule={"iterations": 8})
    return parse_sweep({"name": "s", "base": base, "seeds": [0, 1, 2], "scheduler": "asha", **changes})


def feed_of(driver: TrialDriver, directory: Path, **changes: Any) -> tuple[Feed, Source]:
    sweep = sweep_of(**changes)
    source = Source(expand(sweep))
    return Feed(sweep, source, driver, identifier="s", storage=Storage.at(directory)), source


def test_trials_begin_while_there_is_room(tmp_path: Path) -> None:
    """In order, as many as the driver has room for; an end makes room; after the last there is none."""
    driver = Remembering(room=2)
    feed, source = feed_of(driver, tmp_path)
    assert isinstance(feed.suggest("a"), dict)
    assert isinstance(feed.suggest("b"), dict)
    assert feed.suggest("c") is None
    feed.on_trial_complete("a", {"mIoU": 31.5})
    assert isinstance(feed.suggest("c"), dict)
    assert driver.begun == [(0, False), (1, False), (2, True)]
    assert feed.suggest("d") == Searcher.FINISHED
    feed.on_trial_complete("b", None, error=True)
    feed.on_trial_complete("of somebody else", {"mIoU": 1.0})
    assert source.ends == [(0, 31.5), (1, None)]


def test_a_paused_sweep_begins_nothing(tmp_path: Path) -> None:
    """And has not ended: the next trial comes when there is room again."""
    driver = Remembering(room=0)
    feed, _ = feed_of(driver, tmp_path)
    assert feed.suggest("a") is None
    driver.places = 1
    assert isinstance(feed.suggest("a"), dict)


def test_a_limit_ends_the_search(tmp_path: Path) -> None:
    """No trial is begun after it, though there is room and there are trials."""
    driver = Remembering()
    driver.limited = True
    feed, source = feed_of(driver, tmp_path)
    assert feed.suggest("a") == Searcher.FINISHED
    assert driver.begun == []
    assert not source.exhausted


def test_what_follows_a_trial(tmp_path: Path) -> None:
    """Tune gets what its actor needs to find the run directory: JSON, with the id that the driver uses."""
    feed, _ = feed_of(Remembering(), tmp_path)
    config = feed.suggest("a")
    assert isinstance(config, dict)
    assert Followed(**json.loads(json.dumps(config))) == Followed(
        number=0, experiment="s-0000", storage=str(tmp_path), metric="mIoU", iterations=8, judged=True
    )
    plain, _ = feed_of(Remembering(), tmp_path, scheduler="none")
    config = plain.suggest("a")
    assert isinstance(config, dict)
    assert not config["judged"]


def test_verdicts_are_passed_on() -> None:
    """A trial that Tune ended before its end is stopped, with its score; one that ended by itself is not, and
    one that nobody follows any more is.
    """
    driver = Remembering()
    decisions = Decisions(sweep_of(), driver)

    def trial(number: int, last: dict[str, Any] | None) -> Any:
        return SimpleNamespace(config={"number": number}, last_result=last)

    decisions.on_trial_complete(1, [], trial(0, {"iteration": 2, "ended": False, "mIoU": 31.456}))
    decisions.on_trial_complete(2, [], trial(1, {"iteration": 8, "ended": True, "mIoU": 40.0}))
    decisions.on_trial_complete(3, [], trial(2, None))
    decisions.on_trial_error(4, [], trial(3, None))
    assert driver.stopped == [
        (0, "stopped by asha at iteration 2: mIoU 31.46"),
        (2, "stopped by asha at iteration 0"),
        (3, "its run directory could not be read"),
    ]
    decisions.on_step_begin(5, [])
    assert driver.rounds == 1


def test_a_judged_trial_is_permitted_as_it_is_followed(tmp_path: Path) -> None:
    """Asking for the next evaluation is the permit to train up to it; one without a value is passed over."""
    storage = Storage.at(tmp_path)
    attempt = storage.attempt("t", 1)
    attempt.path.mkdir(parents=True)
    lines = {
        2: '{"kind": "eval", "iteration": 2, "mIoU": 20.0, "time": 1.0}\n',
        4: '{"kind": "eval", "iteration": 4, "time": 1.0}\n',
        6: '{"kind": "eval", "iteration": 6, "mIoU": 30.0, "time": 1.0}\n',
    }

    def wait(_: float) -> None:
        """What the trial does meanwhile: it trains on to its next evaluation, where it is permitted to."""
        following = permitted(attempt.permit) + 2
        with attempt.metrics.local.open("a") as stream:
            stream.write(lines.pop(following, ""))

    reader = EvaluationReader(storage, "t", metric="mIoU", last=8)
    found = [next_evaluation(reader, judged=True, sleep=wait, clock=lambda: 0.0) for _ in range(2)]
    assert found == [Evaluation(2, 20.0), Evaluation(6, 30.0)]
    assert permitted(attempt.permit) == 4, "nobody has asked for more than the evaluation at 6"


def test_what_tune_is_told() -> None:
    """A trial without a score has none under the metric's name: no search takes it for a result."""
    assert told(Evaluation(4, 31.5), "mIoU") == {"iteration": 4, "ended": False, "done": False, "mIoU": 31.5}
    assert told(Evaluation(4, None, ended=True), "mIoU") == {"iteration": 4, "ended": True, "done": True}


def test_switches_that_are_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person has set in the environment is not changed."""
    name = next(iter(ENVIRONMENT))
    for each in (*ENVIRONMENT, "TUNE_MAX_PENDING_TRIALS_PG"):
        monkeypatch.setenv(each, "theirs")
        if each != name:
            monkeypatch.delenv(each)
    prepare_environment(3)
    import os

    assert os.environ[name] == "theirs"
    assert os.environ["TUNE_MAX_PENDING_TRIALS_PG"] == "3"
