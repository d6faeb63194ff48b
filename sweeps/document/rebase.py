"""An experiment's document as another recipe, with the same changes to it."""

from __future__ import annotations

from typing import Any

from trainer.spec.defaults import filled
from trainer.spec.recipes import Override, overrides_of, recipes

_KEPT = ("method", "seed", "tags", "resources", "name")
_OF_THE_RECIPE = ("inference", "interval")


def rebased(document: dict[str, Any], recipe: Any, variant: Any) -> dict[str, Any]:
    """`document`, whole, of an experiment that names a recipe, as if it had named another, all filled in.

    What it has otherwise than its own recipe it has otherwise than this one too. A recipe that there is not
    is put in its place as it is: the spec's checks tell.
    """
    if not isinstance(recipe, str) or recipe not in recipes():
        return {**document, "recipe": recipe, "variant": variant}
    changed = {each.pointer: each for each in overrides_of(document)}
    found: dict[str, Any] = {name: document[name] for name in _KEPT if name in document}
    found |= {"recipe": recipe, "variant": variant}
    found["dataset"] = _dataset(document, recipe, changed)
    evaluation = document["evaluation"]
    found["evaluation"] = {name: value for name, value in evaluation.items() if name not in _OF_THE_RECIPE}
    for each in changed.values():
        _, section, *name = each.pointer.split("/")
        if section == "dataset":
            continue
        if name:
            found.setdefault(section, {})[name[0]] = each.spec
        else:
            found[section] = each.spec
    return filled(found)


def _dataset(document: dict[str, Any], recipe: str, changed: dict[str, Override]) -> dict[str, Any]:
    """Another recipe's data set lies elsewhere; one that was named in its place stays."""
    dataset: dict[str, Any] = document["dataset"]
    if "/dataset/name" in changed or recipes()[recipe].dataset == dataset["name"]:
        return dataset
    return {"name": recipes()[recipe].dataset}
