"""A training that goes on from another's checkpoint: the same steps as if it had never ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.base.errors import CheckpointError
from trainer.plan import Plan
from trainer.run.worker import train
from trainer.storage.checkpoints import lend

pytestmark = pytest.mark.slow

FLAT = {"batch_size": 4, "power": 0.0, "warmup_iterations": 2, "optimizer": "sgd"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def newest(plan: Plan) -> dict[str, Any]:
    """The checkpoint after the last step."""
    name = f"iter_{plan.spec.schedule.iterations}.pth"
    payload: dict[str, Any] = torch.load(plan.layout.checkpoints(plan.experiment).local / name)
    return payload


def extended(old: Plan, experiment: str, more: int, rate: str, **changes: Any) -> Plan:
    """A plan for `more` further steps, its checkpoint lent by `old`."""
    done = old.spec.schedule.iterations
    document = old.spec.model_dump(mode="json")
    schedule = {**document["schedule"], "iterations": done + more}
    held = {"held": 1.0} if rate == "constant" else {}
    names = {"experiment": old.experiment, "iteration": done, "spec_hash": old.spec_hash}
    continues = {**names, "rate": rate, **held}
    lend(old.layout, old.experiment, done, experiment)
    return tiny_plan(
        Path(old.storage), experiment=experiment, **{**document, "schedule": schedule, "continues": continues}
    )


def same(left: Any, right: Any) -> bool:
    """Whether two states are equal to the bit, whatever they are nested in."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@pytest.mark.parametrize(("method", "rate"), [("baseline", "constant"), ("region_rebalance", "rescaled")])
def test_steps_at_one_rate_are_those_of_one_run(storage: Path, method: str, rate: str) -> None:
    """With a rate that does not decay, 4 steps and 3 more end with the bits of 7: weights, momentum, average,
    skipped steps, and scores; in two extensions, too.
    """
    name = f"{method}-{rate}"
    words = {**FLAT, "ema": 0.9}
    whole = tiny_plan(storage, experiment=f"whole-{name}", method=method, schedule={**words, "iterations": 7})
    expected = train(whole, ListSink())
    old = tiny_plan(storage, experiment=f"old-{name}", method=method, schedule={**words, "iterations": 4})
    train(old, ListSink())
    once, sink = extended(old, f"once-{name}", 3, rate), ListSink()
    got = train(once, sink)
    assert sink.records[0]["message"] == f"continues old-{name} from iteration 4, rate {rate}"
    assert [each["iteration"] for each in sink.records if each["kind"] == "train"] == [5, 6, 7]
    assert got.evaluation == expected.evaluation
    assert got.iterations == 7
    first = extended(old, f"first-{name}", 1, rate)
    train(first, ListSink())
    twice = extended(first, f"twice-{name}", 2, rate)
    train(twice, ListSink())
    kept = ("state_dict", "optimizer", "average")
    for plan in (once, twice):
        different = [each for each in kept if not same(newest(plan)[each], newest(whole)[each])]
        assert not different


def test_it_resumes_from_its_own_checkpoints(storage: Path) -> None:
    """Killed in its further steps, it goes on from there, at the rates of its own schedule; bit for bit."""
    old = tiny_plan(storage, experiment="old-resumed", schedule={"batch_size": 4, "iterations": 4})
    train(old, ListSink())
    whole = extended(old, "unbroken", 4, "rewarmed")
    train(whole, ListSink())
    broken, sink = extended(old, "broken", 4, "rewarmed"), ListSink()
    with pytest.raises(KeyError):
        train(broken, ListSink(at=7, error=KeyError("a kill")))
    train(broken, sink)
    assert sink.records[0]["message"] == "resumed from iteration 6"
    assert same(newest(broken)["state_dict"], newest(whole)["state_dict"])


def test_the_old_one_may_be_gone(storage: Path) -> None:
    """Its checkpoint was lent for good; without one nothing is trained from the beginning instead."""
    old = tiny_plan(storage, experiment="old-gone", schedule={"batch_size": 4, "iterations": 2})
    train(old, ListSink())
    plan = extended(old, "left", 2, "rescaled")
    old.layout.experiment(old.experiment).delete()
    train(plan, ListSink())
    plan.layout.checkpoints("left").delete()
    with pytest.raises(CheckpointError, match="continues old-gone from iteration 2"):
        train(plan, ListSink())
