"""Labels of pictures by a program of torch.export: the code of an MLflow model. It needs nothing of ours.

MLflow copies this file into the model's folder and runs it there; `model_config` says how pictures are
resized. Letters: N pictures, H W picture size.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from torch.nn import functional


class LabelModel(PythonModel):  # type: ignore[misc]
    """(N, H, W, 3) uint8 pictures, red first, to (N, H, W) int64 labels."""

    def load_context(self, context: Any) -> None:
        """Reads the program. Torch's graphs are data: nothing is unpickled."""
        self._program = torch.export.load(context.artifacts["program"]).module()
        self._config = context.model_config

    # MLflow would make a signature of other annotations; the model has one.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> np.ndarray:
        """Each picture is resized as in evaluation; its labels are repeated to its own size."""
        del context, params
        return np.stack([self._labels(picture) for picture in model_input])

    def _labels(self, picture: Any) -> Any:
        pixels = np.ascontiguousarray(self._sized(picture).transpose(2, 0, 1))[None]
        labels = self._program(torch.from_numpy(pixels))
        if labels.shape[1:] != picture.shape[:2]:
            table = labels[None].to(torch.float32)
            labels = functional.interpolate(table, picture.shape[:2], mode="nearest-exact")[0]
        return labels[0].to(torch.int64).numpy()

    def _sized(self, picture: Any) -> Any:
        """The picture at the size that the program takes."""
        height, width = picture.shape[:2]
        base, scale, only = (self._config[name] for name in ("test_size", "scale", "only_size"))
        wanted, way = (height, width), cv2.INTER_LINEAR
        if base is not None:
            factor = min(max(base) / max(wanted), min(base) / min(wanted))
            wanted = int(height * factor + 0.5), int(width * factor + 0.5)
        elif scale != 1:
            wanted = max(1, round(height * scale)), max(1, round(width * scale))
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        if only is not None and wanted != tuple(only):
            wanted, way = tuple(only), cv2.INTER_LINEAR
        least = self._config["least_size"]
        if only is None and (wanted[0] < least[0] or wanted[1] < least[1]):
            size = f"a picture of {height}×{width} is {wanted[0]}×{wanted[1]} to the model"
            raise MlflowException.invalid_parameter_value(f"{size}; allowed: from {least[0]}×{least[1]} on")
        if wanted == (height, width):
            return picture
        return cv2.resize(picture, wanted[::-1], interpolation=way)


set_model(LabelModel())
