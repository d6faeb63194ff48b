"""The paper's tables as sweeps: which rows, on what one has, and the paper's numbers beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.base.errors import Problem, SpecError
from trainer.spec.catalogue.published import correlation, lambda_curve
from trainer.spec.evaluation import MULTI_SCALE, SINGLE_SCALE
from trainer.spec.recipes import RECIPE, recipes

Document = dict[str, Any]
_ONE = "table3/deeplabv3plus_r50"  # what the tables of methods are trained with
_SETTING = "ADE20K validation, DeepLabV3+ with ResNet-50, 160k iterations, {columns}, one seed"
# The columns of the paper's tables, by the mode that they may stand beside: their key and their name.
PAPERS_COLUMNS = {SINGLE_SCALE: ("ss", "single scale"), MULTI_SCALE: ("ms", "multi-scale")}
_MODELS = (
    *("ocrnet_hr18", "upernet_r50", "pspnet_r50", "deeplabv3plus_r50"),
    *("ocrnet_hr48", "upernet_r101", "pspnet_r101", "deeplabv3plus_r101"),
    *("upernet_swin_t", "upernet_swin_b", "upernet_beit_l"),
)
_TABLE7 = ("deeplabv3plus_r50", "deeplabv3plus_r101")
_CORRELATIONS = correlation("ade20k", "pixel"), correlation("ade20k", "region")
_LAMBDAS = {f"λ = {value}": value for value in lambda_curve()}


@dataclass(frozen=True)
class Preset:
    """One table or figure of arXiv 2204.01969.

    Attributes:
        methods: its rows, or the rows of each recipe.
        published: its mIoU in percent by method, single scale, where the table gives some.
        recipes: what its rows are trained with.
        setting: what the paper's numbers were measured on; `{columns}` stands for the columns that are shown.
        by_recipe: the recipes' own numbers are the table's, single scale and multi-scale.
        correlations: of class accuracy with pixel and region frequency in percent, if it is of them.
    """

    title: str
    methods: Mapping[str, Document]
    published: Mapping[str, float] = field(default_factory=dict)
    setting: str = _SETTING
    recipes: tuple[str, ...] = (_ONE,)
    by_recipe: bool = False
    correlations: tuple[float | None, float | None] | None = None

    def note(self, modes: Iterable[str] = (SINGLE_SCALE,)) -> str:
        """What the paper's columns are, said under every table that shows them."""
        known = [PAPERS_COLUMNS[mode][1] for mode in modes if mode in PAPERS_COLUMNS and self.by_recipe]
        columns = " and ".join(known) or PAPERS_COLUMNS[SINGLE_SCALE][1]
        return f"paper: {self.title} of arXiv 2204.01969 ({self.setting.format(columns=columns)})"

    def published_for(self, method: str | None, recipe: str | None, mode: str = SINGLE_SCALE) -> float | None:
        """The paper's mIoU in percent of a row in one mode; None where it gives none.

        The paper's multi-scale numbers multiply the size at which pictures are scored: they stand beside the
        mode `multi_scale`, and beside no other that has several scales.
        """
        if mode not in PAPERS_COLUMNS:
            return None
        if self.by_recipe and recipe is not None:
            known, kind = recipes().get(recipe), (method or "").replace(" ", "_")
            column, _ = PAPERS_COLUMNS[mode]
            return None if known is None else known.paper.get(kind, {}).get(column)
        if mode != SINGLE_SCALE:
            return None
        return self.published.get(method or "") if recipe in (None, *self.recipes[:1]) else None


_BASELINE: Document = {"kind": "baseline"}
_RR: Document = {"kind": "region_rebalance", "lambda": 0.3}
_BOTH = {"baseline": _BASELINE, "region rebalance": _RR}


def _of_models(title: str, table: str, setting: str) -> Preset:
    rows = {"table3": _MODELS, "table4": _MODELS[:-1], "table7": _TABLE7}[table]
    whole = tuple(f"{table}/{row}" for row in rows)
    return Preset(title, _BOTH, setting=f"{setting}, {{columns}}, one seed", recipes=whole, by_recipe=True)


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
    "table2": Preset("Table 2", {"baseline": _BASELINE}, correlations=_CORRELATIONS),
    "table3": _of_models("Table 3", "table3", "ADE20K validation"),
    "table4": _of_models("Table 4", "table4", "COCO-Stuff164K val2017"),
    "table5": Preset(
        "Table 5",
        {row: {"kind": "region_rebalance", "lambda": value} for row, value in _LAMBDAS.items()},
        {row: lambda_curve()[value] for row, value in _LAMBDAS.items()},
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
    "table7": _of_models("Table 7", "table7", "COCO-Stuff10K test2014"),
    "figure7": Preset(
        "Figure 7",
        {
            "baseline": _BASELINE,
            "I: region classification": {**_RR, "rebalance": "none"},
            "II: I + balanced softmax": _RR,
        },
        # The figure's bars carry no numbers in the text that we have.
        setting="ADE20K validation and COCO-Stuff164K val2017, DeepLabV3+ with ResNet-50",
        recipes=(_ONE, "table4/deeplabv3plus_r50"),
    ),
}


def preset_sweep(
    name: str,
    *,
    seeds: Sequence[int],
    rows: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
) -> Document:
    """The document of a sweep over the rows of a preset.

    Args:
        seeds: of each row.
        rows: recipes of the preset to leave it at, as `deeplabv3plus_r50` or in full; none: all of them.
        base: fields of an experiment's spec. With a model of its own the rows are trained with that, else
            with the recipes of the table.

    Raises:
        SpecError: there is no such preset, or it has no such row.
    """
    if name not in PRESETS:
        raise SpecError((Problem("/preset", f"{name!r} is not known", ", ".join(PRESETS)),))
    preset, given = PRESETS[name], dict(base or {})
    methods = {row: dict(method) for row, method in preset.methods.items()}
    document: Document = {
        "name": name,
        "base": {**given, "method": next(iter(methods.values()))},
        "variants": methods,
        "seeds": list(seeds),
        "tags": {"preset": name},
    }
    chosen = _chosen(preset, rows)
    if "model" in given and not rows:
        return document
    document["base"]["recipe"] = chosen[0]
    if len(chosen) > 1 or preset.by_recipe:
        document["axes"] = [{"pointer": RECIPE, "grid": list(chosen)}]
    return document


def _chosen(preset: Preset, rows: Sequence[str]) -> tuple[str, ...]:
    """The recipes that `rows` name, in their order."""
    known = {short: each for each in preset.recipes for short in (each, each.partition("/")[2])}
    unknown = [row for row in rows if row not in known]
    if unknown:
        allowed = ", ".join(each.partition("/")[2] for each in preset.recipes)
        raise SpecError(
            (Problem("/rows", f"{preset.title} has no row {', '.join(map(repr, unknown))}", allowed),)
        )
    return tuple(dict.fromkeys(known[row] for row in rows)) or preset.recipes
