"""Scores as metrics, and classes as tables: equal names and columns in every run, so that runs compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainer.results.report import ClassScore, Scores
from trainer.spec.evaluation import SINGLE_SCALE

_DIGITS = 2


def prefix_of(mode: str) -> str:
    """What stands before the names of scores in a mode: nothing for whole pictures at one size."""
    return "" if mode == SINGLE_SCALE else f"{mode}/"


def measured_of(scores: Scores) -> dict[str, float]:
    """mIoU, mAcc, aAcc, head/body/tail mIoU and those of single pictures in percent, where defined."""
    found = {**scores.headline, **scores.by_picture}
    return {name: value for name, value in found.items() if value is not None}


def per_class_columns(scores: Scores) -> dict[str, list[Any]]:
    """The per-class table, a column for each score and count; scores rounded: report.json has all digits."""
    names = ("id", "name", "group", "iou", "acc", "tp", "fp", "fn", "pixel_frequency", "region_frequency")
    heads = {"name": "class", "iou": "IoU", "acc": "Acc", "tp": "TP", "fp": "FP", "fn": "FN"}
    return {heads.get(name, name): [_shown(getattr(row, name)) for row in scores.classes] for name in names}


def _shown(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value


def frequency_columns(classes: Sequence[ClassScore]) -> dict[str, list[Any]]:
    """How frequent each class is in the training split."""
    names = {"id": "id", "class": "name", "pixels": "pixel_frequency", "images": "region_frequency"}
    return {name: [getattr(row, of) for row in classes] for name, of in names.items()}
