"""Programs of a few lines that use an exported model; model cards show them, and tests run them."""

from __future__ import annotations

from trainer.mmseg_adapter.export.mmseg_folder import CONFIG, TENSORS, WEIGHTS
from trainer.mmseg_adapter.export.pictures import Size
from trainer.mmseg_adapter.export.program_files import ONNX, PROGRAM
from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.spec.followups import Format

_MMSEG = f"""\
from mmseg.apis import inference_model, init_model

model = init_model("{CONFIG}", "{WEIGHTS}", device="cpu")
labels = inference_model(model, "picture.png").pred_sem_seg.data[0].numpy()  # (H, W) int64
for k in sorted(set(labels.flatten().tolist())):
    print(k, model.dataset_meta["classes"][k])
"""
_SAFETENSORS = f"""\
import json
from pathlib import Path

from mmseg.apis import inference_model, init_model
from safetensors.torch import load_file

classes = json.loads(Path("model.json").read_text(encoding="utf-8"))["classes"]
model = init_model("{CONFIG}", device="cpu")
model.load_state_dict(load_file("{TENSORS}"))
labels = inference_model(model, "picture.png").pred_sem_seg.data[0].numpy()  # (H, W) int64
for k in sorted(set(labels.flatten().tolist())):
    print(k, classes[k])
"""
_TORCH = f"""\
import json
from pathlib import Path

import cv2
import torch

picture = cv2.imread("picture.png")[:, :, ::-1]  # (H, W, 3) uint8, red first
{{resize}}pixels = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())  # (1, 3, H, W)
program = torch.export.load("{PROGRAM}").module()
labels = program(pixels)[0].numpy()  # (H, W) int64
classes = json.loads(Path("classes.json").read_text(encoding="utf-8"))["classes"]
for k in sorted(set(labels.flatten().tolist())):
    print(k, classes[k])
"""
_ONNX = f"""\
import json
from pathlib import Path

import cv2
import onnxruntime

picture = cv2.imread("picture.png")[:, :, ::-1]  # (H, W, 3) uint8, red first
{{resize}}pixels = picture.transpose(2, 0, 1)[None].copy()  # (1, 3, H, W)
session = onnxruntime.InferenceSession("{ONNX}", providers=["CPUExecutionProvider"])
labels = session.run(["labels"], {{{{"picture": pixels}}}})[0][0]  # (H, W) int64
classes = json.loads(Path("classes.json").read_text(encoding="utf-8"))["classes"]
for k in sorted(set(labels.flatten().tolist())):
    print(k, classes[k])
"""
_MLFLOW = """\
import cv2
import mlflow

model = mlflow.pyfunc.load_model(".")
picture = cv2.imread("picture.png")[:, :, ::-1]  # (H, W, 3) uint8, red first
labels = model.predict(picture[None].copy())[0]  # (H, W) int64
classes = model.metadata.metadata["classes"]
for k in sorted(set(labels.flatten().tolist())):
    print(k, classes[k])
"""


def snippet(name: Format, way: TestWay, only: Size | None) -> str:
    """A program that labels `picture.png`, run in the format's folder.

    Args:
        only: the size that the program takes, None for any.
    """
    text = {
        "mmseg": _MMSEG,
        "safetensors": _SAFETENSORS,
        "torch_export": _TORCH,
        "onnx": _ONNX,
        "mlflow": _MLFLOW,
    }[name]
    return text.format(resize=_resizing(way, only)) if name in ("torch_export", "onnx") else text


def _resizing(way: TestWay, only: Size | None) -> str:
    """The line that brings a picture to the size at which the program takes it."""
    if only is not None:
        return f"picture = cv2.resize(picture, {only[::-1]})  # (width, height)\n"
    if not isinstance(way.test_size, str):
        long, short = max(way.test_size), min(way.test_size)
        return (
            f"factor = min({long} / max(picture.shape[:2]), {short} / min(picture.shape[:2]))\n"
            "size = [int(side * factor + 0.5) for side in picture.shape[:2]]\n"
            "picture = cv2.resize(picture, size[::-1])\n"
        )
    if way.scale != 1:
        area = "cv2.INTER_AREA" if way.scale < 1 else "cv2.INTER_LINEAR"
        return (
            f"size = [round(side * {way.scale:g}) for side in picture.shape[:2]]\n"
            f"picture = cv2.resize(picture, size[::-1], interpolation={area})\n"
        )
    return ""
