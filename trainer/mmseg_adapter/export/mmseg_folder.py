"""A model as mmsegmentation has it: a config of plain values, and weights in torch's form or safetensors.

What is written is read by mmsegmentation alone, without this package.
"""

from __future__ import annotations

import json
import pprint
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmseg.apis import inference_model, init_model
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.mmseg_adapter import quiet_imports
from trainer.mmseg_adapter.export.pictures import Labels, Picture
from trainer.mmseg_adapter.export.refused import Refused
from trainer.mmseg_adapter.export.subject import Subject
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.scoring.predictor import TestWay

CONFIG, WEIGHTS, TENSORS, MODEL = "config.py", "weights.pth", "weights.safetensors", "model.json"
_HEAD = """\
# The model as mmsegmentation 1.x builds it: values only.
# mmseg.apis.init_model and mmsegmentation's tools/test.py take this file. To score a data set, say where it
# lies: --cfg-options test_dataloader.dataset.data_root=DIR; masks hold class ids, 255 is void.
"""


def write_mmseg(subject: Subject, folder: Path) -> None:
    """config.py and weights.pth."""
    _write_config(subject, folder)
    data = {"classes": subject.classes, "palette": subject.palette}
    payload = {"state_dict": _state(subject), "meta": {"dataset_meta": data}}
    torch.save(payload, folder / WEIGHTS)


def write_safetensors(subject: Subject, folder: Path) -> None:
    """weights.safetensors, the same config.py, and model.json for programs that read no Python."""
    _write_config(subject, folder)
    state = {name: value.contiguous().clone() for name, value in _state(subject).items()}
    save_file(state, folder / TENSORS, metadata={"format": "pt"})
    document = {
        "model": subject.meta["model"],
        "classes": subject.classes,
        "palette": subject.palette,
        "pictures": {
            "resize": _resize(subject.way),
            **{
                name: subject.meta["model"]["data_preprocessor"].get(name)
                for name in ("mean", "std", "bgr_to_rgb")
            },
        },
    }
    (folder / MODEL).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def labels_by_mmseg(folder: Path, pictures: Sequence[Picture]) -> list[Labels]:
    """By `init_model` and `inference_model`, as anybody would."""
    with quiet_imports(), DefaultScope.overwrite_default_scope("mmseg"):
        return _inferred(init_model(str(folder / CONFIG), str(folder / WEIGHTS), device="cpu"), pictures)


def labels_by_safetensors(folder: Path, pictures: Sequence[Picture]) -> list[Labels]:
    """The same with weights from the other file."""
    with quiet_imports(), DefaultScope.overwrite_default_scope("mmseg"):
        model = init_model(str(folder / CONFIG), device="cpu")
        model.load_state_dict(load_file(folder / TENSORS), strict=True)
        return _inferred(model, pictures)


def check_tensors(subject: Subject, folder: Path) -> None:
    """Raises Refused where the file's tensors are not the model's, bit for bit."""
    read, state = load_file(folder / TENSORS), _state(subject)
    unlike = [name for name in state if name not in read or not _same_bits(state[name], read[name])]
    if unlike or len(read) != len(state):
        raise Refused(
            f"{len(unlike)} tensors read back are others, {unlike[0] if unlike else 'some new'} first"
        )


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def _inferred(model: Any, pictures: Sequence[Picture]) -> list[Labels]:
    found = [inference_model(model, picture).pred_sem_seg.data[0] for picture in pictures]
    return [labels.numpy().astype(np.int64) for labels in found]


def _state(subject: Subject) -> dict[str, Tensor]:
    state: dict[str, Tensor] = subject.model.state_dict()
    return dict(state)


def _write_config(subject: Subject, folder: Path) -> None:
    meta = {"classes": tuple(subject.classes), "palette": subject.palette}
    model = revive({**subject.meta["model"]})
    pipeline = [
        {"type": "LoadImageFromFile"},
        *_resize(subject.way),
        {"type": "LoadAnnotations"},
        {"type": "PackSegInputs"},
    ]
    dataset = {
        "type": "BaseSegDataset",
        "data_root": "data",
        "data_prefix": {"img_path": "images/val", "seg_map_path": "annotations/val"},
        "img_suffix": ".jpg",
        "seg_map_suffix": ".png",
        "metainfo": meta,
        "test_mode": True,
        "pipeline": pipeline,
    }
    loader = {
        "batch_size": 1,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": dataset,
    }
    values = {
        "default_scope": "mmseg",
        "model": model,
        "test_pipeline": pipeline,
        "test_dataloader": loader,
        "test_cfg": {"type": "TestLoop"},
        "test_evaluator": {"type": "IoUMetric", "iou_metrics": ["mIoU"]},
    }
    text = "\n".join(
        f"{name} = {pprint.pformat(value, width=110, sort_dicts=False)}\n" for name, value in values.items()
    )
    # In a string, mmengine would put variables of its own, and the environment's, in the place of {{…}}.
    (folder / CONFIG).write_text(_HEAD + "\n" + text.replace("{{", "{\\x7b"), encoding="utf-8")


def _resize(way: TestWay) -> list[dict[str, Any]]:
    """What brings a picture to the size at which it is scored, in mmsegmentation's words."""
    if not isinstance(way.test_size, str):
        return [{"type": "Resize", "scale": tuple(way.test_size), "keep_ratio": True}]
    if way.scale == 1:
        return []
    area = "area" if way.scale < 1 else "bilinear"
    return [{"type": "Resize", "scale_factor": way.scale, "keep_ratio": False, "interpolation": area}]
