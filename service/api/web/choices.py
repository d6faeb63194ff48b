"""What forms of experiments and sweeps offer to choose from: names, and how they read."""

from __future__ import annotations

from trainer.spec.data.datasets import DATASETS
from trainer.spec.methods import METHODS
from trainer.spec.models import CATALOGUE
from trainer.spec.recipes import recipes

Choices = list[tuple[str, str]]


def choices() -> dict[str, Choices | list[str]]:
    """Recipes, data sets and methods with their titles, and models, by the name that templates use."""
    rows = recipes().values()
    return {
        "recipes": [
            (each.name, f"{each.name}: {each.head}, {each.backbone}, {each.dataset}") for each in rows
        ],
        "datasets": [(name, entry.title) for name, entry in DATASETS.items()],
        "methods": [(name, name.replace("_", " ")) for name in METHODS],
        "models": list(CATALOGUE),
    }
