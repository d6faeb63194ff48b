"""Trials' data sets are looked at near the data, each kind of trial once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.document.expand import Trial, expand
from sweeps.document.resolve import resolve_trials
from sweeps.driver.looked_at import looked_at
from tests.data_factories import spec_document, write_folder
from tests.unit.sweeps.driver.stubs import sweep_of, task_of
from trainer.base.data_roots import NamedRoot
from trainer.run.cluster import printed
from trainer.storage.layout import Storage


class Near:
    """Calls what it is given, as `near_data` does, and counts."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, look: Callable[[], Sequence[Trial]], **_: Any) -> Sequence[Trial]:
        found = look()
        self.asked.append(len(found))
        return found


def test_each_kind_of_trial_once(tmp_path: Path) -> None:
    """A grid's trials come resolved; what optuna draws later of the same kind is looked at no more, of
    another kind it is.
    """
    write_folder(tmp_path / "camvid")
    dataset = {"name": "folder", "root": "data:all/camvid"}
    base = spec_document(dataset=dataset, schedule={"crop_size": [32, 48]})
    axes = [{"pointer": "/schedule/learning_rate", "loguniform": [0.01, 0.1]}]
    for search in ("grid", "optuna"):
        drawn = {"axes": axes, "search": search, "limits": {"trials": 2}} if search == "optuna" else {}
        sweep = sweep_of(base=base, **drawn)
        look = partial(resolve_trials, sweep, data_roots=[NamedRoot("all", tmp_path)])
        near = Near()
        task = looked_at(replace(task_of(Storage.at(tmp_path), sweep), look=look), printed, near=near)
        trials = expand(sweep)
        assert task.trials == (trials if search == "grid" else ())
        assert near.asked == [len(trials)]
        assert task.resolve(trials[0]).spec.dataset == trials[0].spec.dataset
        assert len(near.asked) == 1
        narrow = trials[0].spec.schedule.model_copy(update={"crop_size": (16, 16)})
        task.resolve(replace(trials[0], spec=trials[0].spec.model_copy(update={"schedule": narrow})))
        assert near.asked[1:] == [1]


def test_nothing_is_looked_at_twice(tmp_path: Path) -> None:
    """A task without `look` was looked at before the driver began."""
    task = task_of(Storage.at(tmp_path), sweep_of())
    assert looked_at(task, printed, near=Near()) is task
