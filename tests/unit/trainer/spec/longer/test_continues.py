"""The rate of each step, against the scheduler that takes them; and what of it is held."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch
from mmengine.optim import ConstantLR, LinearLR, PolyLR
from pydantic import ValidationError

from tests.factories import tiny_document
from tests.unit.trainer.mmseg_adapter.test_config import DIGITS
from trainer.mmseg_adapter.config import render_config
from trainer.spec.longer.continues import Continues, Rate, share_at, share_to_hold
from trainer.spec.spec import ExperimentSpec, parse_spec, spec_hash

_SCHEDULERS = {"ConstantLR": ConstantLR, "LinearLR": LinearLR, "PolyLR": PolyLR}


def going_on(iteration: int, rate: Rate, **changes: Any) -> dict[str, Any]:
    return {"experiment": "e1", "iteration": iteration, "spec_hash": "0" * 64, "rate": rate, **changes}


def longer(iterations: int, continues: dict[str, Any] | None, **schedule: Any) -> ExperimentSpec:
    words = {"iterations": iterations, "batch_size": 2, "learning_rate": 0.5, **schedule}
    document = tiny_document(schedule=words)
    return parse_spec(document if continues is None else {**document, "continues": continues})


def rates(spec: ExperimentSpec) -> list[float]:
    """Of each step, as mmengine's schedulers give them from the rendered config."""
    config = render_config(spec, DIGITS, work_dir="/runs/e1/1/mmengine", loader_workers=0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=spec.schedule.learning_rate)
    made = [
        _SCHEDULERS[each["type"]](optimizer, **{name: each[name] for name in each if name != "type"})
        for each in config["param_scheduler"]
    ]
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(spec.schedule.iterations):
            found.append(float(optimizer.param_groups[0]["lr"]))
            for each in made:
                each.step()
    return found


@pytest.mark.parametrize(
    ("warmup", "power", "lowest"), list(itertools.product((0, 1, 2, 7), (0.0, 0.9, 2.0), (0.0, 0.01)))
)
@pytest.mark.parametrize("rate", [None, "rescaled", "rewarmed"])
def test_the_share_is_what_the_schedulers_make_of_it(
    warmup: int, power: float, lowest: float, rate: Rate | None
) -> None:
    """Step by step, with and without a warm-up, whatever the decay, also where it begins anew at step 12."""
    continues = None if rate is None else going_on(12, rate)
    words = {"warmup_iterations": warmup, "power": power, "min_learning_rate": lowest}
    spec = longer(30, continues, **words)
    begin = 12 if rate == "rewarmed" else 0
    expected = [0.5 * share_at(step, spec.schedule, spec.continues) for step in range(begin, 30)]
    assert rates(spec)[begin:] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_one_rate_is_held() -> None:
    """With `constant` each step is taken with the share that the spec names."""
    spec = longer(30, going_on(12, "constant", held=0.25))
    assert rates(spec) == [0.125] * 30
    assert share_at(29, spec.schedule, spec.continues) == 0.25


def test_what_is_held_is_the_mean_over_the_last_tenth() -> None:
    """Not the last step's, which is the lowest; exactly 1 where nothing decays; of a held one the same."""
    spec = longer(100, None, power=0.9, warmup_iterations=0)
    assert share_at(99, spec.schedule) == 0.0
    mean = sum(share_at(step, spec.schedule) for step in range(90, 100)) / 10
    assert share_to_hold(100, spec.schedule) == pytest.approx(mean)
    assert 0.03 < mean < 0.1
    flat = longer(100, None, power=0.0, warmup_iterations=5)
    assert share_to_hold(100, flat.schedule) == 1.0
    held = longer(100, going_on(50, "constant", held=0.25))
    assert share_to_hold(100, held.schedule, held.continues) == 0.25
    for steps in range(1, 12):
        assert 0 < share_to_hold(steps, longer(steps, None, power=0.9).schedule) <= 1


def test_a_spec_that_continues_nothing_keeps_its_hash_and_its_form() -> None:
    """The word is not in its document; of one that does continue it is a part of the hash."""
    plain = longer(30, None)
    assert "continues" not in plain.model_dump(mode="json")
    ones = [longer(30, going_on(12, rate)) for rate in ("rescaled", "rewarmed")]
    assert len({spec_hash(each) for each in (plain, *ones)}) == 3
    assert parse_spec(ones[0].model_dump(mode="json")) == ones[0]
    assert str(ones[0].continues) == "continues e1 from iteration 12, rate rescaled"


def test_a_share_above_the_schedule_is_refused() -> None:
    """Nor may nothing be held."""
    for held in (0.0, 1.5):
        with pytest.raises(ValidationError):
            Continues(experiment="e1", iteration=1, spec_hash="0" * 64, rate="constant", held=held)
