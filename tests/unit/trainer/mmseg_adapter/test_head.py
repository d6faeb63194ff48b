"""Our criterion on mmseg's own heads: what it leaves alone, and what it leaves behind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from mmseg.registry import MODELS

from tests.unit.trainer.tiny_mmseg import (
    FCN,
    HEADS,
    IGNORE,
    REBALANCE,
    K,
    factory,
    losses_of,
    make_batch,
    make_head,
    make_model,
    mmseg_scope,
    train,
)
from trainer.mmseg_adapter.head import UnsupportedHead, attach, deployable_state

# mmseg's own remark on sizes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:When align_corners=True:UserWarning"),
]


@pytest.fixture(autouse=True)
def _mmseg() -> Iterator[None]:
    with mmseg_scope():
        yield


@pytest.mark.parametrize("name", HEADS)
def test_deployable_state_loads_strictly_and_predicts_the_same(name: str) -> None:
    """The branch's weights gone, the plain model loads strictly and gives the same bits."""
    model = make_model(HEADS[name])
    attach(model, factory(**REBALANCE))
    state = train(model, 2)
    plain = make_model(HEADS[name])
    plain.load_state_dict(state, strict=True)
    pictures, _ = make_batch(9)
    with torch.no_grad():
        assert torch.equal(plain.eval()(pictures), model.eval()(pictures))


def test_auxiliary_heads_stay_as_they_are() -> None:
    """The auxiliary head's loss has the same name and value with our criterion on the decode head."""
    auxiliary = {"auxiliary_head": make_head("FCNHead", in_index=2, in_channels=8, dropout_ratio=0)}
    head = {**FCN, "dropout_ratio": 0}
    plain, ours = make_model(head, **auxiliary), make_model(head, **auxiliary)
    attach(ours, factory(**REBALANCE))
    assert torch.equal(losses_of(ours)["aux.loss_ce"], losses_of(plain)["aux.loss_ce"])


@pytest.mark.parametrize("name", HEADS)
def test_lambda_zero_gives_the_weights_of_the_baseline(name: str) -> None:
    """Branch running, its loss times 0: after five SGD steps with dropout the baseline's bits."""
    states = []
    for document in ({"kind": "baseline"}, {**REBALANCE, "lambda": 0.0}):
        model = make_model(HEADS[name])
        attach(model, factory(**document))
        states.append(train(model, 5))
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    untrained = deployable_state(make_model(HEADS[name]))
    assert any(not torch.equal(untrained[key], states[0][key]) for key in untrained)


POST_HOC = {"kind": "logit_adjustment", "mode": "post_hoc"}


@pytest.mark.parametrize("name", HEADS)
def test_a_post_hoc_shift_is_trained_as_the_baseline_and_folded_into_the_bias(name: str) -> None:
    """Losses and trained weights are the baseline's, bit for bit. In eval mode every logit is the baseline's
    less the shift; the plain model gives the same bits from the deployable state, whose bias has it.
    """
    models = [make_model(HEADS[name]) for _ in range(2)]
    attach(models[0], factory(kind="baseline"))
    attach(models[1], factory(**POST_HOC, temperature=0.5))
    baseline, deployable = (train(model, 3) for model in models)
    criterion = _last_head(models[1]).rebalance_criterion
    (bias,) = [key for key in deployable if key.endswith("conv_seg.bias") and _last(key, name)]
    assert torch.equal(models[1].state_dict()[bias], baseline[bias])
    assert torch.equal(deployable[bias], baseline[bias] - criterion.prediction_shift)
    assert all(torch.equal(deployable[key], baseline[key]) for key in baseline if key != bias)
    assert deployable.keys() == baseline.keys()
    plain = make_model(HEADS[name])
    plain.load_state_dict(deployable, strict=True)
    pictures, _ = make_batch(9)
    with torch.no_grad():
        logits, adjusted, deployed = (model.eval()(pictures) for model in (*models, plain))
    assert torch.equal(deployed, adjusted)
    torch.testing.assert_close(adjusted, logits - criterion.prediction_shift[:, None, None])


def _last_head(model: Any) -> Any:
    head = model.decode_head
    return head[-1] if isinstance(head, torch.nn.ModuleList) else head


def _last(key: str, name: str) -> bool:
    """Whether `key` belongs to the head with our criterion: of a cascade the second."""
    return ".1." in key if isinstance(HEADS[name], list) else True


def test_a_post_hoc_shift_is_in_no_loss() -> None:
    """The losses are the plain logits', in eval mode too: the shift belongs to predictions."""
    head = {**FCN, "dropout_ratio": 0}
    plain, shifted = make_model(head), make_model(head)
    attach(plain, factory(kind="baseline"))
    attach(shifted, factory(**POST_HOC))
    for training in (True, False):
        values = [losses_of(model.train(training))["decode.loss_pixel"] for model in (plain, shifted)]
        assert torch.equal(*values)


def test_a_shift_needs_a_bias() -> None:
    """A classifier without a bias could not be deployed with the shift in it."""
    model: Any = make_model(FCN)
    model.decode_head.conv_seg.register_parameter("bias", None)
    with pytest.raises(UnsupportedHead, match="no bias to shift predictions by"):
        attach(model, factory(**POST_HOC))


@pytest.mark.parametrize("kind", ["seesaw", "blv"])
def test_what_a_loss_accumulates_is_not_deployed(kind: str) -> None:
    """Seesaw's counts and BLV's step are in the training state, and the plain model needs nothing of it."""
    model = make_model(FCN)
    attach(model, factory(kind=kind))
    state = train(model, 2)
    kept = [key for key in model.state_dict() if "rebalance_criterion" in key]
    assert len(kept) == 1
    assert model.state_dict()[kept[0]].any()
    make_model(FCN).load_state_dict(state, strict=True)


def test_the_region_loss_moves_the_backbone() -> None:
    """With lambda above 0 the features learn from the regions."""
    states = []
    for weight in (0.0, 0.3):
        model = make_model(FCN)
        attach(model, factory(**{**REBALANCE, "lambda": weight}))
        states.append(train(model, 1))
    assert not torch.equal(states[0]["backbone.stages.0.0.weight"], states[1]["backbone.stages.0.0.weight"])


def test_the_baseline_is_mmsegs_own() -> None:
    """With the plain pixel loss the model's losses are those of mmseg with `avg_non_ignore`."""
    plain, ours = make_model(FCN), make_model(FCN)
    attach(ours, factory(kind="baseline"))
    values = []
    for model, key in ((plain, "decode.loss_ce"), (ours, "decode.loss_pixel")):
        torch.manual_seed(2)
        values.append(losses_of(model)[key])
    torch.testing.assert_close(values[0], values[1])


def test_the_class_hierarchy_stays() -> None:
    """Model and head stay instances of their mmseg classes, copies work, no random number is drawn."""
    for name, segmentor in (("FCNHead", EncoderDecoder), ("OCRHead", CascadeEncoderDecoder)):
        model = make_model(HEADS[name])
        before = torch.get_rng_state()
        attach(model, factory(**REBALANCE))
        assert torch.equal(torch.get_rng_state(), before)
        assert isinstance(model, segmentor)
        head: Any = model.decode_head
        assert isinstance(head[-1] if name == "OCRHead" else head, MODELS.get(name))
        assert losses_of(copy.deepcopy(model)).keys() == losses_of(model).keys()


def test_nothing_of_a_step_is_kept() -> None:
    """After a step, and after one that raised, the head holds no features."""
    model: Any = make_model(FCN)
    attach(model, factory(**REBALANCE))
    losses_of(model)
    assert model.decode_head._seen is None
    pictures, samples = make_batch()
    samples[0].gt_sem_seg.data.fill_(K)
    with pytest.raises(ValueError, match="allowed: 0 to 3"):
        model.loss(pictures, samples)
    assert model.decode_head._seen is None


def test_accuracy_is_in_percent_of_valid_pixels() -> None:
    """acc_seg is a percentage, 0 where every pixel is ignored."""
    model: Any = make_model({**FCN, "dropout_ratio": 0})
    attach(model, factory(kind="baseline"))
    pictures, samples = make_batch()
    predicted = model.loss(pictures, samples)["decode.acc_seg"]
    assert 0 < predicted < 100
    for sample in samples:
        sample.gt_sem_seg.data.fill_(IGNORE)
    assert model.loss(pictures, samples)["decode.acc_seg"] == 0


def test_initialising_after_attaching_gives_the_same_weights() -> None:
    """mmseg's init_weights neither touches the branch nor draws for it, though it asks for linear layers."""
    head = {**FCN, "init_cfg": {"type": "Normal", "layer": ["Linear", "Conv2d"], "std": 0.01}}
    config = Config({"type": "EncoderDecoder", "backbone": {"type": "TinyBackbone"}, "decode_head": head})
    attached, plain = MODELS.build(config), MODELS.build(config)
    plain.load_state_dict(attached.state_dict())
    attach(attached, factory(**REBALANCE))
    branch = {key: value.clone() for key, value in attached.state_dict().items() if "criterion" in key}
    for model in (attached, plain):
        torch.manual_seed(5)
        model.init_weights()
    expected = {**plain.state_dict(), **branch}
    state = attached.state_dict()
    assert branch
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())
