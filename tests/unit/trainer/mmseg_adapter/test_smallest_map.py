"""`norm_stride` of each recipe, by running the model: at the limit it trains, one pixel below it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from tests.factories import tiny_spec
from tests.unit.trainer.mmseg_adapter.test_config import STREET
from tests.unit.trainer.tiny_mmseg import mmseg_scope
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import revive
from trainer.spec.models import CATALOGUE


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with mmseg_scope():
        yield


def built(name: str) -> nn.Module:
    spec = tiny_spec(model=name)
    config = revive(render_config(spec, STREET, work_dir="/work", loader_workers=0)["model"])
    config.pop("data_preprocessor")
    return MODELS.build(config)  # type: ignore[no-any-return]


def trains(model: Any, pictures: int, height: int, width: int) -> bool:
    """Whether a forward pass in training mode has enough values for every batch norm."""
    model.train()
    try:
        model(torch.zeros(pictures, 3, height, width), mode="tensor")
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("pictures", [1, 2])
def test_the_limit_is_the_models(name: str, pictures: int) -> None:
    """What `norm_values` counts decides whether the model trains, at the stride and on both sides of it."""
    entry, model = CATALOGUE[name], built(name)
    stride = entry.norm_stride or 512
    for crop in ((stride, stride), (stride + 1, stride), (stride, stride + 1), (stride - 1, stride)):
        assert trains(model, pictures, *crop) is (entry.norm_values(crop, pictures) > 1), crop
