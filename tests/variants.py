"""Every method an experiment can name, with its defaults and in the forms that compute something else, and
the criterion of each for a small case.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from trainer.criterion import Criterion, build_criterion
from trainer.spec.methods import METHODS, AnyMethod, Method

IGNORE = 255
PIXELS, IMAGES = [500, 50, 5], [30, 10, 2]  # of three classes

_FORMS: list[dict[str, Any]] = [
    {"kind": "reweighting", "weights": "effective_number"},
    {"kind": "balanced_softmax", "prior": "region"},
    {"kind": "logit_adjustment", "mode": "post_hoc"},
    {"kind": "lovasz", "scope": "image"},
    {"kind": "dice", "cross_entropy": True},
    {"kind": "dice", "form": "mmseg"},
    {"kind": "region_rebalance", "rebalance": "none"},
    {"kind": "region_rebalance", "scope": "batch"},
    {"kind": "region_rebalance", "projection": 128},
    {"kind": "region_rebalance", "classifier": "etf"},
    {"kind": "region_rebalance", "label_smoothing": 0.5},
]


def _name(document: dict[str, Any]) -> str:
    parameters = [f"{name}={value}" for name, value in document.items() if name != "kind"]
    return " ".join([document["kind"], *parameters])


VARIANTS: dict[str, dict[str, Any]] = {
    _name(document): document for document in [*({"kind": kind} for kind in METHODS), *_FORMS]
}


def make_method(document: dict[str, Any]) -> AnyMethod:
    method: AnyMethod = TypeAdapter(Method).validate_python(document)
    return method


def make_criterion(document: dict[str, Any], **changes: Any) -> Criterion:
    """The criterion of a method for three classes and four channels before the classifier."""
    arguments: dict[str, Any] = {
        "pixel_counts": PIXELS,
        "region_counts": IMAGES,
        "feature_channels": 4,
        "ignore_index": IGNORE,
        "seed": 0,
        "align_corners": False,
    }
    return build_criterion(make_method(document), **{**arguments, **changes})
