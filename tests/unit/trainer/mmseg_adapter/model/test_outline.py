"""Models without numbers: the same names and shapes as with them, and limits that hold meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from tests.own_models import OWN_MODELS
from tests.unit.trainer.mmseg_adapter.model.rendering import rendered
from tests.unit.trainer.tiny_mmseg import mmseg_scope
from trainer.mmseg_adapter.model.outline import BeyondLimit, count_parameters, outline, outlining

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning")


@pytest.mark.parametrize("name", OWN_MODELS)
def test_an_outline_has_the_names_and_shapes_of_the_model(name: str) -> None:
    """Every entry of the state dict, on the meta device; the parameters are counted without them."""
    config = rendered(OWN_MODELS[name])
    with mmseg_scope():
        built = MODELS.build(Config(config))
    made = outline(config)
    shapes = {key: value.shape for key, value in built.state_dict().items()}
    assert {key: value.shape for key, value in made.state_dict().items()} == shapes
    assert {value.device.type for value in made.parameters()} == {"meta"}
    assert count_parameters(config) == sum(value.numel() for value in built.parameters())


def test_what_would_take_a_terabyte_is_outlined() -> None:
    """Shapes cost nothing: a model of 10^11 parameters and more has an outline."""
    config: dict[str, Any] = {
        "backbone": {"type": "ResNet", "depth": 50, "base_channels": 8192, "stem_channels": 8192},
        "decode_head": {"type": "FCNHead", "in_channels": 8192, "channels": 8192, "in_index": 0},
    }
    assert count_parameters(rendered(config)) > 10**11


def endless(make: Callable[[int], torch.Tensor], size: int) -> None:
    while True:
        make(size)


def test_limits_end_a_loop_that_makes_tensors() -> None:
    """The number of tensors, of numbers in all, and of numbers in one: each is a limit."""
    with outlining(most_tensors=3), pytest.raises(BeyondLimit, match="layers"):
        endless(torch.zeros, 1)
    with outlining(most_numbers=100), pytest.raises(BeyondLimit, match="parameters"):
        endless(torch.empty, 10)
    with outlining(largest=100), pytest.raises(BeyondLimit, match=r"\(10, 11\)"):
        torch.add(torch.zeros(10, 1), torch.zeros(1, 11))
    assert torch.zeros(1).device.type == "cpu"
