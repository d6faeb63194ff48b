"""What the commands do that list what a spec can name."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from service.cli.experiments import print_items, print_table
from service.cli.failure import fail
from service.client.client import RebalanceClient
from trainer.base.ends import ExitCode

if TYPE_CHECKING:
    from service.shared.catalogue_schemas import CatalogueItem


def recipes(args: argparse.Namespace) -> int:
    """The paper's rows, or all about one of them; nobody is asked."""
    from trainer.spec.recipe_document import recipe_document
    from trainer.spec.recipes import known_recipe
    from trainer.spec.recipes import recipes as all_recipes

    found = all_recipes()
    if args.name is not None:
        try:
            document = recipe_document(found[known_recipe(args.name)])
        except ValueError as error:
            return fail(f"NAME: {error}; allowed: {', '.join(found)}", ExitCode.BAD_INPUT)
        if args.json:
            print(json.dumps(document, indent=1, ensure_ascii=False))
            return 0
        from service.cli.tables.recipes import print_recipe

        print_recipe(document)
        return 0
    if args.json:
        _print_documents([recipe_document(one) for one in found.values()])
        return 0
    from service.cli.tables.recipes import recipes_table

    print_table(recipes_table(found.values()), empty="no recipes")
    return 0


def datasets(args: argparse.Namespace, client: RebalanceClient) -> int:
    """The data sets a spec can name."""
    return _catalogue(args, client.datasets())


def models(args: argparse.Namespace, client: RebalanceClient) -> int:
    """The models a spec can name; with --search mmsegmentation's, for which nobody is asked."""
    if args.search is None:
        return _catalogue(args, client.models())
    from trainer.spec.catalogue.shipped import search

    found = search(args.search)
    if args.json:
        _print_documents([asdict(one) for one in found])
        return 0
    from service.cli.tables.recipes import shipped_table

    print_table(shipped_table(found), empty=f"no configuration of mmsegmentation fits {args.search!r}")
    return 0


def methods(args: argparse.Namespace, client: RebalanceClient) -> int:
    """The methods a spec can name."""
    return _catalogue(args, client.methods())


def _print_documents(documents: list[dict[str, Any]]) -> None:
    """The same shape as the API's lists."""
    print(json.dumps({"items": documents, "next_cursor": None}, indent=1, ensure_ascii=False))


def _catalogue(args: argparse.Namespace, items: list[CatalogueItem]) -> int:
    if args.json:
        print_items(items)
        return 0
    from service.cli.tables.experiments import catalogue_table

    print_table(catalogue_table(items), empty="nothing in this catalogue")
    return 0
