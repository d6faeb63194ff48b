"""Small models as a final.pth has them, and real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from numpy.typing import NDArray
from torch import nn

from tests.own_models import OWN_MODELS
from tests.unit.trainer.mmseg_adapter.model.rendering import rendered
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.model.deployed import plain_model
from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.spec.evaluation import Slide

Picture = NDArray[np.uint8]
CLASSES = ("sky", 'a "{{b}}"', "tree's", "{{ fileDirname }}", "{{$HOME:x}}")
WHOLE = TestWay(test_size="native", scale=1.0, inference="whole")
WINDOWS = TestWay(test_size="native", scale=1.0, inference=Slide(window=(32, 32), stride=(20, 20)))


def deployed(name: str, way: TestWay = WHOLE) -> tuple[nn.Module, dict[str, Any]]:
    """One of OWN_MODELS with random weights, as `load_deployed` gives a model and its meta."""
    config = rendered(OWN_MODELS[name], num_classes=len(CLASSES))
    if isinstance(way.inference, Slide):
        windows = way.inference
        config["test_cfg"] = {"mode": "slide", "crop_size": windows.window, "stride": windows.stride}
    return built(config)


def built(config: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """A model of a rendered config and its meta; weights are drawn so that all classes come up."""
    pixels = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}
    config["data_preprocessor"] = {"type": "SegDataPreProcessor", "size": [64, 64], **pixels}
    config = plain_model(config)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model: nn.Module = MODELS.build(Config(revive(config))).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.dtype == torch.float32 and tensor.dim() > 1:
            spread = (2 / tensor[0].numel()) ** 0.5  # keeps the size of numbers through layers
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread)
    palette = [[40 * k, 255 - 40 * k, 7] for k in range(len(CLASSES))]
    return model, {"model": config, "dataset_meta": {"classes": list(CLASSES), "palette": palette}}


def real_pictures(camvid: Path, size: tuple[int, int], number: int = 2) -> list[Picture]:
    """Parts of CamVid's pictures, blue first, of `size` = (height, width)."""
    height, width = size
    files = sorted((camvid / "images" / "val").iterdir())[:number]
    pictures = [cv2.imread(str(file)) for file in files]
    return [np.ascontiguousarray(each[100 : 100 + height, 100 : 100 + width]) for each in pictures]
