"""The paper's tables as sweeps: which rows, on what one has, and the paper's numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.base.errors import Problem, SpecError

Document = dict[str, Any]
_SETTING = "ADE20K validation, DeepLabV3+ with ResNet-50, 160k iterations, single scale, one seed"
_LAMBDAS = (0.0, 0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True)
class Preset:
    """One table or figure of arXiv 2204.01969. `published`: its mIoU in percent by row, if it gives one."""

    title: str
    methods: Mapping[str, Document]
    published: Mapping[str, float]
    setting: str = _SETTING

    @property
    def note(self) -> str:
        """What the paper's column is, said under every table that shows it."""
        return f"paper: {self.title} of arXiv 2204.01969 ({self.setting})"


_BASELINE: Document = {"kind": "baseline"}
_RR: Document = {"kind": "region_rebalance", "lambda": 0.3}

PRESETS: dict[str, Preset] = {
    "table1": Preset(
        "Table 1",
        {
            "baseline": _BASELINE,
            "re-weighting": {"kind": "reweighting"},
            "balanced softmax": {"kind": "balanced_softmax"},
            "balanced softmax*": {"kind": "balanced_softmax", "prior": "region"},
            "region rebalance": _RR,
        },
        {
            "baseline": 43.95,
            "re-weighting": 37.86,
            "balanced softmax": 38.57,
            "balanced softmax*": 40.66,
            "region rebalance": 45.02,
        },
    ),
    "table5": Preset(
        "Table 5",
        {f"λ = {value}": {"kind": "region_rebalance", "lambda": value} for value in _LAMBDAS},
        dict(zip((f"λ = {value}" for value in _LAMBDAS), (43.95, 44.61, 44.85, 45.02, 44.64), strict=True)),
    ),
    "table6": Preset(
        "Table 6",
        {
            "baseline": _BASELINE,
            "Dice": {"kind": "dice"},
            "Dice + cross-entropy": {"kind": "dice", "cross_entropy": True},
            "region rebalance": _RR,
        },
        {"baseline": 43.95, "Dice": 1.14, "Dice + cross-entropy": 44.12, "region rebalance": 45.02},
    ),
    "figure7": Preset(
        "Figure 7",
        {
            "baseline": _BASELINE,
            "I: region classification": {**_RR, "rebalance": "none"},
            "II: I + balanced softmax": _RR,
        },
        {},  # the figure's bars carry no numbers in the text that we have
    ),
}


def preset_sweep(name: str, *, dataset: object, model: object, seeds: Sequence[int]) -> Document:
    """The document of a sweep over the rows of a preset, on `dataset` and `model` as in an experiment's spec.

    Raises:
        SpecError: there is no such preset.
    """
    if name not in PRESETS:
        raise SpecError((Problem("", f"{name!r} is not known", ", ".join(PRESETS)),))
    methods = {row: dict(method) for row, method in PRESETS[name].methods.items()}
    first = next(iter(methods.values()))
    return {
        "name": name,
        "base": {"dataset": dataset, "model": model, "method": first},
        "variants": methods,
        "seeds": list(seeds),
    }
