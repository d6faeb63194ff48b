"""Labels of pictures by an exported model alone: `python -I process.py FORMAT MODEL PICTURES LABELS`.

This file is run by its path, in a process in which neither this project nor mmsegmentation can be imported.
It stands in for whoever takes the model away, so it imports nothing of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORBIDDEN = ("service", "trainer", "sweeps", "mmseg", "mmengine", "mmcv")
Array = NDArray[Any]
Predict = Callable[[Array], Array]  # a picture (H, W, 3) uint8, red first, to labels (H, W) int64


class Blocker:
    """A finder that refuses these packages."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        del path, target
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} may not be imported here")


def by_torch(model: str) -> Predict:
    import torch

    program = torch.export.load(model).module()
    return lambda picture: np.asarray(program(torch.from_numpy(_batch(picture)))[0])


def by_onnx(model: str) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda picture: np.asarray(session.run(["labels"], {"picture": _batch(picture)})[0][0])


def by_mlflow(model: str) -> Predict:
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(model)
    return lambda picture: np.asarray(loaded.predict(picture[None])[0])


def _batch(picture: Array) -> Array:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))[None]


def main(kind: str, model: str, pictures: str, labels: str) -> None:
    """Reads arrays from the file `pictures`, writes as many to `labels`, in the same order."""
    sys.meta_path.insert(0, Blocker())
    predict = {"torch_export": by_torch, "onnx": by_onnx, "mlflow": by_mlflow}[kind](model)
    with np.load(pictures, allow_pickle=False) as read:
        given = [read[f"arr_{number}"] for number in range(len(read.files))]
    np.savez(labels, *[predict(picture) for picture in given])


if __name__ == "__main__":
    main(*sys.argv[1:])
