"""/datasets, /models, /methods: what a spec can name, with the JSON schema of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from service.api.problems import documented
from service.api.requests import UnknownRecipe
from service.shared.catalogue_schemas import CatalogueItem, RecipePublic, ShippedPublic
from service.shared.schemas import Page
from trainer.base.strict_model import StrictModel
from trainer.spec.catalogue.shipped import search as search_shipped
from trainer.spec.data.datasets import DATASETS
from trainer.spec.methods import METHODS
from trainer.spec.models import CATALOGUE, ModelChoice
from trainer.spec.recipe_document import recipe_document
from trainer.spec.recipes import recipes

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
        for name, recipe in CATALOGUE.items()
    )


@router.get("/models/shipped")
def shipped_models(
    search: Annotated[str, Query(max_length=200, description="Words that its line must have.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="No more lines than this.")] = 1000,
) -> Page[ShippedPublic]:
    """Mmsegmentation's own configurations, which a spec names as `{"mmseg": NAME}`; usable ones first."""
    found = search_shipped(search)[:limit]
    return Page[ShippedPublic](
        items=tuple(ShippedPublic.model_validate(one, from_attributes=True) for one in found)
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


@router.get("/recipes")
def find_recipes() -> Page[RecipePublic]:
    """The paper's rows, each as a training that a spec can name as `recipe`."""
    return Page[RecipePublic](items=tuple(RecipePublic(**recipe_document(one)) for one in recipes().values()))


@router.get("/recipes/{name:path}", responses=documented(HTTPStatus.NOT_FOUND))
def show_recipe(name: str) -> RecipePublic:
    """One of them, such as `table3/deeplabv3plus_r50`."""
    found = recipes().get(name)
    if found is None:
        raise UnknownRecipe(f"there is no recipe {name!r}; GET /recipes lists them")
    return RecipePublic(**recipe_document(found))


def _page(items: Iterable[CatalogueItem]) -> Page[CatalogueItem]:
    return Page[CatalogueItem](items=tuple(items))


def _description(model: type[StrictModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split())
