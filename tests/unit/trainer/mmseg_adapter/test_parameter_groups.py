"""Rates and decays of single parameters: mmengine's and mmseg's own, in as few groups as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmseg.models.backbones import BEiT, SwinTransformer
from torch import nn

from tests.factories import tiny_document
from tests.unit.trainer.mmseg_adapter.test_config import DIGITS
from tests.unit.trainer.tiny_mmseg import HEADS, REBALANCE, factory, make_model, mmseg_scope
from trainer.base.errors import SpecError
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.head import attach
from trainer.mmseg_adapter.parameter_groups import LayerGroups, NamedGroups, swin_layer
from trainer.spec.spec import parse_spec

RATE, DECAY = 0.1, 5e-4
OPTIMIZER = {"type": "SGD", "lr": RATE, "momentum": 0.9, "weight_decay": DECAY}

Settings = dict[str, tuple[float, float]]  # name of a parameter: its rate and decay


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with mmseg_scope():
        yield


def wrapper(constructor: type, options: dict[str, Any], model: nn.Module) -> Any:
    return constructor({"type": "OptimWrapper", "optimizer": OPTIMIZER}, options)(model)


def settings(constructor: type, options: dict[str, Any], model: nn.Module) -> Settings:
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = wrapper(constructor, options, model).optimizer.param_groups
    return {names[one]: (group["lr"], group["weight_decay"]) for group in groups for one in group["params"]}


def optim_wrapper(**schedule: Any) -> dict[str, Any]:
    """What is rendered of a spec's words for its optimiser."""
    spec = parse_spec(tiny_document(schedule=schedule))
    rendered: dict[str, Any] = render_config(spec, DIGITS, work_dir="w", loader_workers=0)["optim_wrapper"]
    return rendered


def test_words_become_mmengines() -> None:
    """Names, norms and biases in mmengine's words; nothing where no word was said."""
    assert "constructor" not in optim_wrapper()
    assert "paramwise_cfg" not in optim_wrapper()
    groups = [{"match": "backbone", "learning_rate": 0.1}, {"match": "conv_seg", "weight_decay": 0.0}]
    rendered = optim_wrapper(parameter_groups=groups, no_weight_decay=["norms", "biases"])
    assert rendered["constructor"] == "NamedGroups"
    assert rendered["paramwise_cfg"] == {
        "norm_decay_mult": 0.0,
        "bias_decay_mult": 0.0,
        "custom_keys": {
            "backbone": {"lr_mult": 0.1, "decay_mult": 1.0},
            "conv_seg": {"lr_mult": 1.0, "decay_mult": 0.0},
        },
    }


def test_a_group_whose_rate_would_rise_is_refused() -> None:
    """The lowest rate is every group's: what begins below it, a part to be frozen above all, would rise."""
    groups = [{"match": "backbone", "learning_rate": 0.1}, {"match": "backbone.layer1", "learning_rate": 0.0}]
    words = {"learning_rate": 0.01, "parameter_groups": groups}
    assert optim_wrapper(**words)["constructor"] == "NamedGroups"
    with pytest.raises(SpecError) as caught:
        optim_wrapper(**words, min_learning_rate=1e-4)
    (problem,) = caught.value.problems
    assert problem.pointer == "/schedule/parameter_groups/1/learning_rate"
    assert optim_wrapper(**{**words, "parameter_groups": groups[:1]}, min_learning_rate=1e-3)


OPTIONS: list[dict[str, Any]] = [
    {"norm_decay_mult": 0.0},
    {"bias_decay_mult": 0.0},
    {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0},
    {
        "custom_keys": {
            "backbone": {"lr_mult": 0.1},
            "backbone.stages.0": {"lr_mult": 0.01, "decay_mult": 0.0},
        }
    },
    {"norm_decay_mult": 0.0, "custom_keys": {"head": {"lr_mult": 10.0, "decay_mult": 2.0}}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_parameters_have_mmengines_settings(options: dict[str, Any]) -> None:
    """Rate and decay of each parameter are those that mmengine gives it, in a group for each pair of them."""
    model = make_model(HEADS["UPerHead"])
    expected = settings(DefaultOptimWrapperConstructor, options, model)
    assert settings(NamedGroups, options, model) == expected
    assert set(expected) == {name for name, _ in model.named_parameters()}
    groups = wrapper(NamedGroups, options, model).optimizer.param_groups
    assert len(groups) == len(set(expected.values())) > 1
    usual = (RATE, DECAY)
    assert ((groups[0]["lr"], groups[0]["weight_decay"]) == usual) == (usual in expected.values())


def test_the_longest_match_decides() -> None:
    """Of several that fit, whatever their order in the spec; of equally long ones the alphabet's first."""
    keys = {"stages": {"lr_mult": 2.0}, "backbone": {"lr_mult": 3.0}, "stages.0": {"lr_mult": 4.0}}
    keys["stages.0.1"] = {"lr_mult": 5.0}
    for order in (list(keys), list(reversed(keys))):
        options = {"custom_keys": {key: keys[key] for key in order}}
        found = settings(NamedGroups, options, make_model(HEADS["FCNHead"]))
        assert found["backbone.stages.0.1.weight"] == (5 * RATE, DECAY)
        assert found["backbone.stages.0.0.weight"] == (3 * RATE, DECAY)
        assert found["decode_head.conv_seg.weight"] == (RATE, DECAY)


def test_the_region_branch_is_part_of_the_head() -> None:
    """What fits the decode head fits the branch on it; of a cascade, on its last head."""
    for kind, name in (("FCNHead", "decode_head"), ("OCRHead", "decode_head.1")):
        model = make_model(HEADS[kind])
        attach(model, factory(**REBALANCE))
        found = settings(NamedGroups, {"custom_keys": {name: {"lr_mult": 5.0}}}, model)
        branch = {value for one, value in found.items() if "rebalance_criterion" in one}
        assert branch == {(5 * RATE, DECAY)}


def test_a_match_of_nothing_is_refused() -> None:
    """All of them at once, each by its place in the spec; parameters that are not trained are none."""
    model = make_model(HEADS["FCNHead"])
    model.backbone.stages[0].requires_grad_(False)
    keys: dict[str, Any] = {"backbone": {}, "neck": {}, "stages.0": {}}
    with pytest.raises(SpecError) as caught:
        wrapper(NamedGroups, {"custom_keys": keys}, model)
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/schedule/parameter_groups/1/match", "/schedule/parameter_groups/2/match"]
    assert "'neck' is in the name of no trained parameter" in str(caught.value)


def test_a_shared_parameter_is_optimised_once() -> None:
    """As without groups; torch refuses a parameter in two."""
    model = nn.Module()
    model.first = nn.Linear(2, 2)
    model.second = model.first
    (group,) = wrapper(NamedGroups, {"custom_keys": {"first": {}}}, model).optimizer.param_groups
    assert len(group["params"]) == 2


class Whole(nn.Module):
    """A backbone under something else."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.decode_head = nn.Conv2d(4, 4, 1)


@pytest.mark.filterwarnings("ignore:torch.meshgrid.*:UserWarning")  # mmseg's BEiT
def test_layers_of_beit_are_mmsegs(capsys: pytest.CaptureFixture[str]) -> None:
    """Rates and decays of its layers are those that mmseg gives; nothing is printed."""
    beit = BEiT(img_size=32, embed_dims=8, num_layers=5, num_heads=2, qv_bias=True, init_values=0.1)
    model = Whole(beit)
    options = {"decay_rate": 0.9, "decay_type": "layer_wise", "num_layers": 5}
    expected = settings(LearningRateDecayOptimizerConstructor, options, model)
    capsys.readouterr()
    del options["num_layers"]
    assert settings(LayerGroups, options, model) == expected
    assert capsys.readouterr().out == ""
    rates = {round(rate / RATE, 9) for rate, _ in expected.values()}
    assert rates == {round(0.9**power, 9) for power in range(7)}


def test_layers_of_swin() -> None:
    """Patches, each block with the downsampling after it, then all above; one dimension, biases and positions
    are not decayed.
    """
    swin = SwinTransformer(
        pretrain_img_size=32, embed_dims=4, depths=(2, 3), num_heads=(2, 2), strides=(4, 2),
        out_indices=(0, 1), use_abs_pos_embed=True,
    )  # fmt: skip
    model = Whole(swin)
    found = settings(LayerGroups, {"decay_rate": 0.5}, model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    power = {name: round(RATE / rate).bit_length() - 1 for name, (rate, _) in found.items()}
    layers = {
        "patch_embed.projection.weight": 6,
        "patch_embed.norm.bias": 6,
        "absolute_pos_embed": 6,
        "stages.0.blocks.0.attn.w_msa.qkv.weight": 5,
        "stages.0.blocks.1.ffn.layers.1.weight": 4,
        "stages.0.downsample.reduction.weight": 4,
        "stages.0.downsample.norm.weight": 4,
        "stages.1.blocks.0.norm1.weight": 3,
        "stages.1.blocks.2.attn.w_msa.relative_position_bias_table": 1,
        "norm0.weight": 0,
    }
    assert {name: power[f"backbone.{name}"] for name in layers} == layers
    assert found["decode_head.weight"] == (RATE, DECAY)
    decayed = {name for name, (_, decay) in found.items() if decay}
    assert decayed == {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and "pos_embed" not in name and "position_bias" not in name
    }
    assert len(wrapper(LayerGroups, {"decay_rate": 0.5}, model).optimizer.param_groups) == 2 * 7


def test_swin_layers_are_its_authors() -> None:
    """Against `get_swin_layer` of SimMIM, written out for Swin-T's depths, block by block."""
    depths = (2, 2, 6, 2)
    blocks = [f"backbone.stages.{stage}.blocks.{n}.w" for stage in range(4) for n in range(depths[stage])]
    assert [swin_layer(name, depths) for name in blocks] == list(range(1, 13))
    downs = [f"backbone.stages.{stage}.downsample.reduction.weight" for stage in range(3)]
    assert [swin_layer(name, depths) for name in downs] == [2, 4, 10]
    assert swin_layer("decode_head.conv_seg.weight", depths) == 13
