"""train(): what must not depend on how a run came about."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import ListSink, tiny_plan
from trainer.base.errors import NonFiniteLoss, Paused
from trainer.plan import Plan
from trainer.results.confusion_file import read_confusion
from trainer.results.picture_metrics import picture_scores
from trainer.results.report import AttemptResult
from trainer.results.shown_file import read_shown
from trainer.run.runner import build_model
from trainer.run.worker import train
from trainer.storage.sink import Record

pytestmark = pytest.mark.slow

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


def trained(plan: Plan) -> tuple[AttemptResult, State]:
    result = train(plan, ListSink())
    return result, weights(plan)


def weights(plan: Plan) -> State:
    path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    state: State = torch.load(path, weights_only=True)["state_dict"]
    return state


def assert_same(left: State, right: State) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different


def test_lambda_zero_is_the_baseline(storage: Path) -> None:
    """λ = 0 gives the baseline's weights bit for bit after 20 steps, whatever the options: the branch
    disturbs no random stream.
    """
    schedule = {"iterations": 20, "batch_size": 2}
    _, baseline = trained(tiny_plan(storage, experiment="baseline", schedule=schedule))
    zero = {"kind": "region_rebalance", "lambda": 0.0}
    options = {"projection": 8, "classifier": "etf", "label_smoothing": 0.5}
    for name, method in {"zero": zero, "options": {**zero, **options}}.items():
        _, with_branch = trained(tiny_plan(storage, experiment=name, method=method, schedule=schedule))
        assert_same(baseline, with_branch)


def test_post_hoc_adjustment_trains_the_baseline(storage: Path) -> None:
    """Bit for bit but for the classifier's bias; the scores are those of the shifted predictions."""
    method = {"kind": "logit_adjustment", "mode": "post_hoc"}
    plain, baseline = trained(tiny_plan(storage, experiment="unshifted"))
    shifted, adjusted = trained(tiny_plan(storage, experiment="shifted", method=method))
    bias = "decode_head.conv_seg.bias"
    assert not torch.equal(adjusted.pop(bias), baseline.pop(bias))
    assert_same(adjusted, baseline)
    assert shifted.evaluation != plain.evaluation


def test_lambda_moves_the_weights(storage: Path) -> None:
    """The identity above is not one of a branch that is never reached."""
    _, baseline = trained(tiny_plan(storage, experiment="baseline-2"))
    _, rebalanced = trained(tiny_plan(storage, experiment="moved", method="region_rebalance"))
    assert any(not torch.equal(baseline[name], rebalanced[name]) for name in baseline)


def test_region_accuracies_are_logged(storage: Path) -> None:
    """Records of training have the number of regions and their accuracy, overall, in head and in tail."""
    sink = ListSink()
    train(tiny_plan(storage, experiment="logged", method="region_rebalance"), sink)
    records = [record for record in sink.records if record["kind"] == "train"]
    assert all(0 <= record["region_acc"] <= 100 and record["num_regions"] > 0 for record in records)
    assert {"region_acc_head", "region_acc_tail"} <= set().union(*records)


class Stop(Exception):
    """Stands for a kill between two iterations."""


@pytest.mark.parametrize("method", ["baseline", "region_rebalance", "seesaw", "blv"])
def test_resume_is_exact(storage: Path, method: str) -> None:
    """A run stopped after iteration 3 of 6 and started again ends with the weights of one never stopped."""
    schedule = {"iterations": 6, "batch_size": 4}
    whole = tiny_plan(storage, experiment=f"whole-{method}", method=method, schedule=schedule)
    result, expected = trained(whole)
    stopped = tiny_plan(storage, experiment=f"stopped-{method}", method=method, schedule=schedule)
    with pytest.raises(Stop):
        train(stopped, ListSink(at=4, error=Stop()))
    sink = ListSink()
    resumed = train(stopped, sink)
    assert sink.records[0]["message"] == "resumed from iteration 3"
    assert [record["iteration"] for record in sink.records if record["kind"] == "train"] == [4, 5, 6]
    assert_same(weights(stopped), expected)
    assert resumed.evaluation == result.evaluation


class PausingSink(ListSink):
    """Somebody asks for a pause while the record of this iteration is written."""

    def __init__(self, plan: Plan, iteration: int) -> None:
        super().__init__()
        self._file, self._iteration = plan.layout.pause(plan.experiment), iteration

    def emit(self, record: Record) -> None:
        super().emit(record)
        if (record["kind"], record["iteration"]) == ("train", self._iteration):
            self._file.write("")


def test_pause_and_resume_are_exact(storage: Path) -> None:
    """Paused where no checkpoint was due, a run goes on from there, to the weights of one never paused."""
    spec: dict[str, Any] = {"method": "region_rebalance", "schedule": {"iterations": 6, "batch_size": 4}}
    rare = {"checkpoint_interval": 6}
    plan = tiny_plan(storage, experiment="never-paused", **spec).model_copy(update=rare)
    result, expected = trained(plan)
    plan = tiny_plan(storage, experiment="paused", **spec).model_copy(update=rare)
    with pytest.raises(Paused, match="paused at iteration 3, where its checkpoint is"):
        train(plan, PausingSink(plan, 3))
    assert plan.layout.checkpoints("paused").names() == ["iter_3.pth"]
    plan.layout.pause("paused").delete()
    sink = ListSink()
    resumed = train(plan, sink)
    assert [record["iteration"] for record in sink.records if record["kind"] == "train"] == [4, 5, 6]
    assert_same(weights(plan), expected)
    assert resumed.evaluation == result.evaluation


def test_a_damaged_newest_checkpoint_falls_back(storage: Path) -> None:
    """A truncated newest checkpoint costs the iterations since the one before, and changes nothing else."""
    schedule = {"iterations": 6, "batch_size": 4}
    _, expected = trained(tiny_plan(storage, experiment="sound", schedule=schedule))
    plan = tiny_plan(storage, experiment="damaged", schedule=schedule)
    with pytest.raises(Stop):
        train(plan, ListSink(at=4, error=Stop()))
    newest = plan.layout.checkpoints("damaged").local / "iter_3.pth"
    os.truncate(newest, newest.stat().st_size // 2)
    sink = ListSink()
    train(plan, sink)
    assert sink.records[0]["message"] == "resumed from iteration 2"
    assert_same(weights(plan), expected)


def test_a_run_killed_in_its_last_evaluation_is_evaluated(storage: Path) -> None:
    """Resumed after its last step, a run has the scores and weights of one never stopped."""
    result, expected = trained(tiny_plan(storage, experiment="unbroken"))
    plan = tiny_plan(storage, experiment="at-the-end")
    with pytest.raises(Stop):
        train(plan, ListSink(at=4, kind="eval", error=Stop()))
    assert (plan.layout.checkpoints("at-the-end").local / "iter_4.pth").exists()
    assert train(plan, ListSink()).evaluation == result.evaluation
    assert_same(weights(plan), expected)


def test_validating_on_the_way_changes_nothing(storage: Path) -> None:
    """The validation interval does not change the weights (in stock mmengine it does)."""
    _, once = trained(tiny_plan(storage, experiment="once"))
    often_plan = tiny_plan(storage, experiment="often", evaluation={"interval": 2})
    sink = ListSink()
    train(often_plan, sink)
    assert [record["iteration"] for record in sink.records if record["kind"] == "eval"] == [2, 4]
    assert_same(once, weights(often_plan))


def test_an_infinite_loss_ends_the_run(storage: Path) -> None:
    """A loss that is not finite raises before the optimiser moves, and names the iteration."""
    plan = tiny_plan(
        storage, experiment="burst", schedule={"iterations": 4, "batch_size": 4, "learning_rate": 100}
    )
    poisoned = build_model(plan)
    state = {name: value * torch.nan for name, value in poisoned.state_dict().items()}
    document = plan.model_dump(mode="json")
    document["config"]["model"]["init_cfg"] = _checkpoint(plan, state)
    with pytest.raises(
        NonFiniteLoss, match=r"decode.loss_pixel is nan at iteration 1 \(.*\); pictures: scene_"
    ) as caught:
        train(Plan.model_validate_json(json.dumps(document)), ListSink())
    assert caught.value.iteration == 1


def _checkpoint(plan: Plan, state: State) -> dict[str, Any]:
    path = Path(plan.storage) / "poisoned.pth"
    torch.save({"state_dict": state}, path)
    return {"type": "Pretrained", "checkpoint": str(path)}


def test_the_checkpoint_is_plain_mmseg(storage: Path) -> None:
    """final.pth loads strictly into the plain model, and predicts what was scored."""
    plan = tiny_plan(storage, experiment="plain", method="region_rebalance")
    result, state = trained(plan)
    model = build_model(plan)
    model.load_state_dict(state, strict=True)
    assert not [name for name in state if "criterion" in name or "region" in name]
    assert result.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert result.evaluation["single_scale"].images == 50


def test_what_every_run_shows_is_kept(storage: Path) -> None:
    """The same three pictures with labels of the last evaluation, whatever was trained."""
    names = []
    for experiment, method in (("shown-1", "baseline"), ("shown-2", "region_rebalance")):
        plan = tiny_plan(storage, experiment=experiment, method=method, evaluation={"interval": 2})
        trained(plan)
        shown = read_shown(plan.attempt_dir.shown)
        assert all(each.labels.shape == each.truth.shape == (64, 64) for each in shown)
        assert max(int(each.labels.max()) for each in shown) < len(plan.data.classes)
        names.append([each.name for each in shown])
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_counts_of_single_pictures_are_kept(storage: Path) -> None:
    """confusion.npz has the counts that the scores were made from, picture by picture."""
    plan = tiny_plan(storage, experiment="counts", method="baseline")
    scores = trained(plan)[0].evaluation["single_scale"]
    kept = read_confusion(plan.attempt_dir.confusion)
    counts = kept.modes["single_scale"]
    assert kept.classes == tuple(one.name for one in scores.classes)
    assert counts.images == len(set(counts.names)) == scores.images == 50
    assert [one.tp for one in scores.classes] == counts.tp.sum(axis=0).tolist()
    assert scores.image_mIoU == picture_scores(counts).image_mean is not None
