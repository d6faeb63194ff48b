"""An experiment's document as another recipe, with the same changes to it."""

from __future__ import annotations

from typing import Any

from trainer.spec.defaults import filled
from trainer.spec.recipes import Machines, Override, overrides_of, recipes, usual_resources

_KEPT = ("method", "seed", "tags", "resources", "name")
_OF_THE_RECIPE = ("inference", "interval")
_INFERENCE = "/evaluation/inference"


def rebased(document: dict[str, Any], recipe: Any, variant: Any = "paper") -> dict[str, Any]:
    """`document`, whole, of an experiment that names a recipe, as if it had named another, all filled in.

    What it has otherwise than its own recipe it has otherwise than this one too, but for what only follows
    from that, such as windows of the crop's size. GPUs among which this recipe's batch does not divide stay
    idle. A recipe that there is not is put in its place as it is: the spec's checks tell.
    """
    if not isinstance(recipe, str) or recipe not in recipes():
        return {**document, "recipe": recipe, "variant": variant}
    changed = {each.pointer: each for each in overrides_of(document)}
    if _follows_from_the_crop(document):
        changed.pop(_INFERENCE, None)
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
    whole = filled(found)
    return {**whole, "resources": _resources(whole)}


def _follows_from_the_crop(document: dict[str, Any]) -> bool:
    """Whether pictures are scored as the document would have it if it said nothing of that."""
    evaluation = {name: value for name, value in document["evaluation"].items() if name != "inference"}
    usual = filled({**document, "evaluation": evaluation})["evaluation"]["inference"]
    return bool(usual == document["evaluation"]["inference"])


def _dataset(document: dict[str, Any], recipe: str, changed: dict[str, Override]) -> dict[str, Any]:
    """Another recipe's data set lies elsewhere, with other splits; one that was named in its place stays."""
    dataset: dict[str, Any] = document["dataset"]
    if "/dataset/name" in changed or recipes()[recipe].dataset == dataset["name"]:
        return dataset
    counted = {"frequency_table": None} if dataset["frequency_table"] is None else {}
    return {"name": recipes()[recipe].dataset, "scale": dataset["scale"], **counted}


def _resources(document: dict[str, Any]) -> dict[str, Any]:
    """No more GPUs than those among which the batch and its parts divide; as they are where they fit."""
    resources, schedule = document["resources"], document["schedule"]
    workers, each = resources["workers"], resources["cpus_per_worker"]
    if resources["gpus_per_worker"] != 1 or not schedule["batch_size"] % (workers * schedule["accumulate"]):
        return dict(resources)
    fewer = usual_resources(schedule, Machines(gpus=workers, cpus=workers * each))
    return {**resources, "workers": fewer["workers"]}
