"""Every method an experiment can name, with its defaults and in the forms that compute something else."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from trainer.methods import METHODS, AnyMethod, Method

_FORMS: list[dict[str, Any]] = [
    {"kind": "reweighting", "weights": "effective_number"},
    {"kind": "balanced_softmax", "prior": "region"},
    {"kind": "logit_adjustment", "mode": "post_hoc"},
    {"kind": "lovasz", "scope": "image"},
    {"kind": "dice", "cross_entropy": True},
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
