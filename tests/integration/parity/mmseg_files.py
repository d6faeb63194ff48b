"""mmsegmentation's own config files of published runs, and the words that ask us for the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmseg
from mmengine.config import Config

from trainer.spec.recipes import Recipe
from trainer.spec.schedule import Schedule

FILES = {
    "deeplabv3plus_r50": "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512.py",
    "pspnet_r50": "pspnet/pspnet_r50-d8_4xb4-160k_ade20k-512x512.py",
    "ocrnet_hr18": "ocrnet/ocrnet_hr18_4xb4-160k_ade20k-512x512.py",
    "upernet_swin_t": "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py",
    "upernet_beit_l": "beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640.py",
}
TRAINED = [name for name in FILES if name != "upernet_beit_l"]  # the others: 300 M parameters, numbers only

_COMMON: dict[str, Any] = {"iterations": 160_000, "batch_size": 16, "loss_average": "all"}
_SGD: dict[str, Any] = {
    **_COMMON,
    "crop_size": (512, 512),
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "warmup_iterations": 0,
    "power": 0.9,
    "min_learning_rate": 1e-4,
}
_ADAMW: dict[str, Any] = {
    **_COMMON,
    "optimizer": "adamw",
    "momentum": 0.9,
    "betas": (0.9, 0.999),
    "warmup_iterations": 1500,
    "warmup_factor": 1e-6,
    "power": 1.0,
}
_SCHEDULES: dict[str, dict[str, Any]] = {
    "deeplabv3plus_r50": _SGD,
    "pspnet_r50": _SGD,
    "ocrnet_hr18": _SGD,
    "upernet_swin_t": {
        **_ADAMW,
        "crop_size": (512, 512),
        "learning_rate": 6e-5,
        "weight_decay": 0.01,
        # The file names absolute_pos_embed as well, which its model has not.
        "parameter_groups": [
            {"match": "relative_position_bias_table", "weight_decay": 0.0},
            {"match": "norm", "weight_decay": 0.0},
        ],
    },
    # mmseg counts parts of a batch, we count steps: 1500 warm-up steps are its 3000 iterations.
    "upernet_beit_l": {
        **_ADAMW,
        "crop_size": (640, 640),
        "learning_rate": 2e-5,
        "weight_decay": 0.05,
        "layer_decay": 0.95,
        "accumulate": 2,
        "precision": "bf16",
    },
}
AUGMENTATION: dict[str, Any] = {
    "max_shift": 0,
    "resize_base": [2048, 512],
    "jitter": [0.5, 2.0],
    "cat_max_ratio": 0.75,
    "flip": 0.5,
    "photometric": True,
    "test_size": [2048, 512],
}


def mmseg_file(name: str) -> Config:
    """The file as it is."""
    return Config.fromfile(Path(mmseg.__path__[0]) / ".mim" / "configs" / FILES[name])


def file_of(recipe: Recipe) -> Config:
    """The file of a row of the paper, as mmsegmentation ships it."""
    return Config.fromfile(Path(mmseg.__path__[0]) / ".mim" / "configs" / f"{recipe.config}.py")


def model_of(file: Config, crop_size: tuple[int, int], classes: int) -> dict[str, Any]:
    """The file's model with these classes and this crop, without the weights it would load."""
    model: dict[str, Any] = file.model.to_dict()
    model["pretrained"] = None
    model["backbone"].pop("init_cfg", None)
    if model["backbone"]["type"] == "BEiT":
        model["backbone"]["img_size"] = crop_size
    for part in ("decode_head", "auxiliary_head"):
        heads = model.get(part, [])
        for head in heads if isinstance(heads, list) else [heads]:
            head["num_classes"] = classes
    return model


def schedule(name: str, **changes: Any) -> Schedule:
    """What the file says, in our words."""
    return Schedule.model_validate({**_SCHEDULES[name], **changes})


def model_config(name: str) -> dict[str, Any]:
    """The file's model without its pretrained weights, which no test may fetch."""
    model: dict[str, Any] = mmseg_file(name).model.to_dict()
    model["pretrained"] = None
    model["backbone"].pop("init_cfg", None)
    return model
