"""The paper's rows as recipes: what a spec that names one has where it says nothing, and what was changed.

A recipe is data: `catalogue/recipes.json`, made from mmsegmentation's own files (`make golden`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from trainer.base.pointers import escape, excerpt

Document = dict[str, Any]
Variant = Literal["paper", "mmseg"]
RECIPE, VARIANT = "/recipe", "/variant"  # their pointers in a spec
_FILE = "recipes.json"
_LOADING_PROCESSES = 4  # of each worker on a GPU, as mmseg's files have them
_SECTIONS = ("schedule", "augmentation", "evaluation")


class Machines(NamedTuple):
    """What a cluster has in all."""

    gpus: int
    cpus: int


@dataclass(frozen=True)
class Recipe:
    """One row of one table of arXiv 2204.01969.

    Attributes:
        name: such as `table3/deeplabv3plus_r50`.
        table: "table3", "table4" or "table7".
        paper: mIoU in percent, by method (`baseline`, `region_rebalance`) and mode (`ss`, `ms`).
        mmseg: mIoU in percent that mmsegmentation publishes for the row, by mode; with a `note` where its
            training is not the row's; None where it publishes none.
        fields: what a spec has where it says nothing: dataset, model, weights, and whole sections.
        variants: by name, the schedule fields that it has otherwise.
        parameters: of the model as mmseg builds it with these classes, auxiliary heads included.
        config: mmsegmentation's file, below `configs`.
        differences: from that file, each with `field`, `file`, `recipe` and `why`.
    """

    name: str
    table: str
    head: str
    backbone: str
    dataset: str
    paper: Mapping[str, Mapping[str, float]]
    mmseg: Mapping[str, Any] | None
    fields: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    parameters: int
    config: str
    differences: tuple[Mapping[str, Any], ...]
    weights: Mapping[str, Any]

    def usual(self, variant: str = "paper") -> Document:
        """A fresh document of `fields` in a variant; a name that is no variant's gets the paper's."""
        document: Document = json.loads(json.dumps(self.fields))
        document["schedule"] |= self.variants.get(variant, {})
        return document


@cache
def recipes() -> Mapping[str, Recipe]:
    """All recipes by name, in the paper's order."""
    text = resources.files("trainer.spec.catalogue").joinpath(_FILE).read_text(encoding="utf-8")
    found = json.loads(text)
    return {
        name: Recipe(name=name, **{**one, "differences": tuple(one["differences"])})
        for name, one in found.items()
    }


def known_recipe(name: str) -> str:
    """`name`, if a recipe has it.

    Raises:
        ValueError: there is none; with the names that are near.
    """
    if name not in recipes():
        near = difflib.get_close_matches(name, recipes(), n=3, cutoff=0.4)
        raise ValueError(f"{name!r} is not known{'; near: ' if near else ''}{', '.join(near)}")
    return name


def usual_resources(schedule: Mapping[str, Any], machines: Machines | None) -> Document:
    """The most whole GPUs that divide the batch, with four processes each that load pictures.

    No GPU is named where there are none: the spec's checks refuse that.
    """
    gpus = 0 if machines is None else machines.gpus
    batch, parts = schedule.get("batch_size"), schedule.get("accumulate", 1)
    if not (gpus and isinstance(batch, int) and isinstance(parts, int) and batch > 0 and parts > 0):
        return {}
    workers = max((n for n in range(1, gpus + 1) if batch % (n * parts) == 0), default=1)
    assert machines is not None
    cpus = max(1, min(1 + _LOADING_PROCESSES, machines.cpus // workers))
    return {"workers": workers, "gpus_per_worker": 1, "cpus_per_worker": cpus}


class Override(NamedTuple):
    """A field in which a spec is not its recipe's."""

    pointer: str
    recipe: Any
    spec: Any

    def __str__(self) -> str:
        """For example `iterations 160k → 2k`."""
        name = self.pointer.rpartition("/")[2].replace("_", " ")
        if self.pointer == "/dataset/name":
            name = "data set"
        return f"{name} {_short(self.recipe)} → {_short(self.spec)}"


def overrides_of(document: Mapping[str, Any]) -> tuple[Override, ...]:
    """In what the document of a stored spec differs from its recipe; nothing where it names none."""
    recipe = recipes().get(document.get("recipe") or "")
    if recipe is None:
        return ()
    usual = recipe.usual(document.get("variant") or "paper")
    return tuple(_unlike(usual, document))


def _unlike(usual: Document, document: Mapping[str, Any]) -> Iterator[Override]:
    dataset = document["dataset"]
    for name, value in usual["dataset"].items():
        if dataset.get(name) != value:
            yield Override(f"/dataset/{name}", value, dataset.get(name))
            if name == "name":
                break  # another data set's fields are others
    for name in ("model", "weights"):
        if document[name] != usual[name]:
            yield Override(f"/{name}", usual[name], document[name])
    for section in _SECTIONS:
        for name, value in usual[section].items():
            ours = document[section].get(name)
            if ours != value:
                yield Override(f"/{section}/{escape(name)}", value, ours)


def _short(value: Any) -> str:
    """A value in a few letters: thousands as k."""
    if isinstance(value, int) and not isinstance(value, bool) and value and value % 1000 == 0:
        return f"{value // 1000}k"
    if isinstance(value, dict) and len(value) == 1:
        return _short(next(iter(value.values())))
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, int) for each in value):
        return f"{value[0]}×{value[1]}"
    return value if isinstance(value, str) else excerpt(value)
