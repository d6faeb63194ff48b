"""What a spec has where its document says nothing: from its recipe, its model, its data set, the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.base.errors import Problem
from trainer.spec.data.datasets import usual_augmentation
from trainer.spec.models import CATALOGUE, ModelEntry, entry_of_document
from trainer.spec.recipes import Machines, Recipe, recipes, usual_resources

Document = dict[str, Any]


def filled(document: Mapping[str, Any], machines: Machines | None = None) -> Document:
    """`document` with everything under it that is decided elsewhere; it stays as it is.

    What is unknown or of the wrong kind is left: it is refused later, and what was given is checked as well.

    Args:
        machines: what the cluster has; None where nobody knows.
    """
    recipe = recipes().get(_text(document.get("recipe")))
    usual = recipe.usual(_text(document.get("variant"))) if recipe is not None else {}
    found = dict(document)
    if recipe is None and document.get("recipe") is not None:
        # It is refused as what it is; what it would have given is then not missed as well.
        usual_of_any = next(iter(recipes().values())).usual()
        found["dataset"] = _dataset(usual_of_any["dataset"], document.get("dataset"))
        found.setdefault("model", usual_of_any["model"])
    if recipe is not None:
        found["dataset"] = _dataset(usual["dataset"], document.get("dataset"))
        found = {"model": usual["model"], "weights": usual["weights"], **found}
    entry = entry_of_document(found.get("model")) or CATALOGUE["small"]
    found.setdefault("weights", "none" if entry.pretrained is None else "pretrained")
    dataset_name = name_of(found.get("dataset"))
    under = {
        "schedule": usual.get("schedule") or entry.schedule_for(dataset_name),
        "augmentation": usual.get("augmentation") or usual_augmentation(dataset_name),
        "resources": _resources(document, recipe, usual, machines),
    }
    for name, below in under.items():
        found[name] = _over(below, document.get(name, {}))
    _use_float32_on_cpu(found, document)
    evaluation = {**usual.get("evaluation", {}), "inference": _inference(entry, found["schedule"])}
    found["evaluation"] = _over(evaluation, document.get("evaluation", {}))
    return found


def cpu_problems(document: object, machines: Machines | None) -> list[Problem]:
    """A recipe trains on GPUs, unless its document has `"gpus_per_worker": 0` written out."""
    if not leaves_resources(document) or (machines is not None and machines.gpus):
        return []
    assert isinstance(document, Mapping)
    why = "the cluster has no GPU" if machines is not None else "what the cluster has is not known"
    got = f"is left out, and {why}: {document['recipe']} would train on a CPU, for months"
    return [
        Problem(
            "/resources/gpus_per_worker", got, "1 where there are GPUs; 0, written out, to train on a CPU"
        )
    ]


def leaves_resources(document: object) -> bool:
    """Whether a document, of an experiment, names a recipe and leaves its GPUs to what the cluster has."""
    if not isinstance(document, Mapping) or _text(document.get("recipe")) not in recipes():
        return False
    given = document.get("resources", {})
    return isinstance(given, dict) and "gpus_per_worker" not in given


def name_of(value: object) -> str:
    """The name in a catalogue that a document, or its name alone, has; empty where there is none."""
    return _text(value.get("name") if isinstance(value, Mapping) else value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _over(below: Mapping[str, Any], given: Any) -> Any:
    return {**below, **given} if isinstance(given, dict) else given


def _dataset(usual: Document, given: Any) -> Any:
    """The recipe's data set under the one given, if that is the same one."""
    if given is None:
        return usual
    if isinstance(given, str):
        given = {"name": given}
    if isinstance(given, dict) and given.get("name", usual["name"]) == usual["name"]:
        return {**usual, **given}
    return given


def _resources(
    document: Mapping[str, Any], recipe: Recipe | None, usual: Document, machines: Machines | None
) -> Document:
    given = document.get("resources", {})
    if recipe is None or not isinstance(given, dict) or given.get("gpus_per_worker") == 0:
        return {}
    schedule = _over(usual["schedule"], document.get("schedule", {}))
    return usual_resources(schedule, machines) if isinstance(schedule, dict) else {}


def _use_float32_on_cpu(found: Document, document: Mapping[str, Any]) -> None:
    """fp16 that nobody asked for is for GPUs alone."""
    schedule, given, resources = found["schedule"], document.get("schedule", {}), found["resources"]
    if not (isinstance(schedule, dict) and isinstance(given, dict) and isinstance(resources, dict)):
        return
    if (
        schedule.get("precision") == "fp16"
        and "precision" not in given
        and not resources.get("gpus_per_worker")
    ):
        found["schedule"] = {**schedule, "precision": "float32"}


def _inference(entry: ModelEntry, schedule: Any) -> Any:
    """The model's own way; windows are as large as the crop where the model takes no other size."""
    usual = entry.inference
    crop = schedule.get("crop_size") if isinstance(schedule, dict) else None
    sides = isinstance(crop, list | tuple) and len(crop) == 2 and all(type(side) is int for side in crop)
    if isinstance(usual, str) or not entry.sized_by_crop or not sides:
        return usual
    assert crop is not None
    shares = [stride / window for stride, window in zip(usual["stride"], usual["window"], strict=True)]
    return {
        "window": list(crop),
        "stride": [max(1, round(s * side)) for s, side in zip(shares, crop, strict=True)],
    }
