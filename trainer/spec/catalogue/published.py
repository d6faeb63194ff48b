"""What arXiv 2204.01969 measured of classes and of λ: `published.json`; of models it is in the recipes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


def lambda_curve() -> Mapping[float, float]:
    """The mIoU in percent by λ: Table 5, ADE20K, DeepLabV3+ with ResNet-50, single scale."""
    return {row["lambda"]: row["ss"] for row in _published()["table5_ade20k_deeplabv3plus_r50_lambda"]}


def correlation(dataset: str, frequency: str) -> float | None:
    """Of class accuracy with class frequency ("pixel", "region") in percent: Table 2; None: not given."""
    rows = _published()["table2_pearson_class_frequency_vs_accuracy_percent"]
    return next(
        (row["rho"] for row in rows if (row["dataset"], row["frequency"]) == (dataset, frequency)), None
    )


def imbalance(dataset: str, frequency: str) -> int | None:
    """Largest over smallest class frequency ("pixel", "region"): Figure 5b; None where it gives none."""
    factor: int | None = _published()["imbalance_factors"].get(dataset, {}).get(frequency)
    return factor


@cache
def _published() -> Mapping[str, Any]:
    text = resources.files("trainer.spec.catalogue").joinpath("published.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found
