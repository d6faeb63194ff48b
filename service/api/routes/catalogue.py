"""/datasets, /models, /methods: what a spec can name, with the JSON schema of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from fastapi import APIRouter

from service.shared.schemas import CatalogueItem, Page
from trainer.base.strict_model import StrictModel
from trainer.spec.datasets import DATASETS
from trainer.spec.methods import METHODS
from trainer.spec.models import RECIPES, ModelChoice

router = APIRouter(tags=["catalogue"])


@router.get("/datasets")
def datasets() -> Page[CatalogueItem]:
    """Data sets."""
    return _page(
        CatalogueItem(
            name=name,
            title=entry.title,
            description=_description(entry.parameters),
            json_schema=entry.parameters.model_json_schema(by_alias=True),
            source=entry.source,
            licence=entry.licence,
            classes=entry.classes,
        )
        for name, entry in DATASETS.items()
    )


@router.get("/models")
def models() -> Page[CatalogueItem]:
    """Models, each with its default schedules."""
    return _page(
        CatalogueItem(
            name=name,
            title=recipe.title,
            description=recipe.description,
            json_schema=ModelChoice.model_json_schema(by_alias=True),
            source=recipe.source,
            schedules={dataset: dict(schedule) for dataset, schedule in recipe.schedules.items()},
        )
        for name, recipe in RECIPES.items()
    )


@router.get("/methods")
def methods() -> Page[CatalogueItem]:
    """Training methods."""
    return _page(
        CatalogueItem(
            name=name,
            title=name.replace("_", " ").capitalize(),
            description=_description(parameters),
            json_schema=parameters.model_json_schema(by_alias=True),
        )
        for name, parameters in METHODS.items()
    )


def _page(items: Iterable[CatalogueItem]) -> Page[CatalogueItem]:
    return Page[CatalogueItem](items=tuple(items))


def _description(model: type[StrictModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split())
