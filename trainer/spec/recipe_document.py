"""A recipe as it is shown: the same document on the command line and from the API."""

from __future__ import annotations

from typing import Any

from trainer.spec.recipes import Machines, Recipe
from trainer.spec.spec import parse_spec

_ONE_GPU = Machines(gpus=1, cpus=8)


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """Everything that is known of the row.

    `spec` is what POST /experiments would store for its name and the baseline on a cluster of one GPU.
    """
    spec = parse_spec({"recipe": recipe.name, "method": "baseline"}, _ONE_GPU)
    return {
        "name": recipe.name,
        "table": recipe.table,
        "head": recipe.head,
        "backbone": recipe.backbone,
        "dataset": recipe.dataset,
        "paper": {method: dict(numbers) for method, numbers in recipe.paper.items()},
        "mmseg": None if recipe.mmseg is None else dict(recipe.mmseg),
        "spec": spec.model_dump(mode="json"),
        "parameters": recipe.parameters,
        "config": recipe.config,
        "differences": [dict(each) for each in recipe.differences],
        "weights": dict(recipe.weights),
        "variants": {name: dict(changed) for name, changed in recipe.variants.items()},
    }
