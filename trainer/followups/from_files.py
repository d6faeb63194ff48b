"""Pictures labelled from checkpoint files alone, by one model or by several beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainer.base.errors import DataError
from trainer.drawing.labels import label_png, overlay, png
from trainer.drawing.legend import legend
from trainer.drawing.panels import comparison
from trainer.followups.checkpoints import check_classes
from trainer.followups.labelling import Labels, label_picture, read_picture, read_truth
from trainer.mmseg_adapter import quiet_imports
from trainer.mmseg_adapter.model.deployed import load_deployed, spec_in
from trainer.mmseg_adapter.scoring.predictor import Predictor, way_of
from trainer.spec.data.class_list import Colour
from trainer.spec.data.datasets import DATASETS
from trainer.spec.data.label_map import LabelMap, asked_map
from trainer.spec.evaluation import Mode
from trainer.spec.spec import ExperimentSpec


@dataclass(frozen=True)
class Model:
    """A checkpoint, ready to label; `name` is the experiment's, where it says so."""

    name: str
    predictor: Predictor
    spec: ExperimentSpec
    classes: tuple[str, ...]
    colours: tuple[Colour, ...]

    @property
    def label_map(self) -> LabelMap | None:
        """What ids mean in masks of the data set that it was trained on."""
        return asked_map(self.spec.dataset, len(self.classes))

    def truth_in(self, folder: Path, picture: Path) -> Path:
        """The mask of a picture in a folder, named as the data set names its masks."""
        return folder / f"{picture.stem}{DATASETS[self.spec.dataset.name].layout.mask_ending}"


def load_model(file: Path, mode: Mode) -> Model:
    """The model of a final.pth, on a GPU where there is one; it labels as its experiment was scored.

    Raises:
        CheckpointError: it is missing, damaged, or of another kind.
    """
    with quiet_imports():
        model, meta = load_deployed(file)
    spec = spec_in(meta, file)
    classes = tuple(meta["dataset_meta"]["classes"])
    colours = tuple((int(red), int(green), int(blue)) for red, green, blue in meta["dataset_meta"]["palette"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    predictor = Predictor(model.to(device), mode, way_of(spec))
    return Model(str(meta.get("experiment", file.stem)), predictor, spec, classes, colours)


def check_same_classes(models: Sequence[Model]) -> None:
    """Raises CheckpointError where models have other classes than the first."""
    for model in models[1:]:
        what = f"{model.name}, set beside {models[0].name},"
        check_classes(model.classes, models[0].classes, what)


class SideBySide:
    """Models of the same classes, what they made of each picture, and how much of all each class took."""

    def __init__(self, models: Sequence[Model], names: Sequence[str]) -> None:
        """`names`: of the models, no two alike."""
        self._models = list(models)
        self._names = list(names)
        self._pixels = np.zeros((len(models), len(models[0].classes)), np.int64)
        self._truth = np.zeros(len(models[0].classes), np.int64)

    def files_of(self, picture: Path, name: str, truth: Path | None) -> dict[str, bytes]:
        """What is to be written for one picture, by file name.

        Args:
            name: of the picture in these.
            truth: its mask, or a folder that has it.

        Raises:
            DataError: picture or truth cannot be used, or it is too large for the device.
        """
        first = self._models[0]
        read = read_picture(picture, name=str(picture))
        target = None
        if truth is not None:
            file = first.truth_in(truth, picture) if truth.is_dir() else truth
            size = read.shape[0], read.shape[1]
            classes = len(first.classes)
            target = read_truth(file, size, label_map=first.label_map, num_classes=classes)
        labels = [self._labels(model, read, picture) for model in self._models]
        shown, made = read[..., ::-1], {}
        for model_name, each in zip(self._names, labels, strict=True):
            prefix = name if len(labels) == 1 else f"{name}_{model_name}"
            made[f"{prefix}_labels.png"] = label_png(each, first.colours)
            made[f"{prefix}_overlay.png"] = png(overlay(shown, each, first.colours))
        if len(labels) > 1 or target is not None:
            both = list(zip(self._names, labels, strict=True))
            made[f"{name}_compare.png"] = png(comparison(shown, both, first.colours, target=target))
        for row, each in zip(self._pixels, labels, strict=True):
            row += np.bincount(each.ravel(), minlength=len(row))
        if target is not None:
            valid = target[target < len(self._truth)]
            self._truth += np.bincount(valid, minlength=len(self._truth))
        return made

    def legend(self) -> bytes:
        """The legend of all pictures so far, as a PNG; of several models, and of the truth, a column each."""
        first = self._models[0]
        alone = len(self._names) == 1 and not self._truth.any()
        names = [""] if alone else self._names
        shares = {name: row.tolist() for name, row in zip(names, self._pixels, strict=True)}
        if self._truth.any():
            title = "truth" if "truth" not in shares else "the truth"
            shares = {title: self._truth.tolist(), **shares}
        return png(legend(first.classes, first.colours, shares))

    def _labels(self, model: Model, read: Labels, picture: Path) -> Labels:
        try:
            return label_picture(model.predictor, read)
        except DataError as error:
            raise DataError(f"{picture}: {error}") from error
        except (torch.cuda.OutOfMemoryError, MemoryError):
            height, width = read.shape[:2]
            raise DataError(
                f"{picture} of {width}×{height} needs more memory than there is; allowed: a smaller one"
            ) from None
