"""Recipes and mmsegmentation's configurations as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from service.cli.progress import make_console
from service.cli.tables.experiments import cell, make_table, number
from trainer.spec.catalogue.shipped import ShippedModel
from trainer.spec.recipes import Recipe


def recipes_table(found: Iterable[Recipe]) -> Table:
    """A row for each: the paper's mIoU of the baseline and of region rebalance, single and multi scale."""
    columns = (
        "recipe",
        "data set",
        "parameters",
        "steps",
        "crop",
        "base ss",
        "base ms",
        "RR ss",
        "RR ms",
        "mmseg ss",
    )
    table = make_table(*columns, right=2)
    for one in found:
        schedule = one.fields["schedule"]
        base, ours = one.paper["baseline"], one.paper["region_rebalance"]
        table.add_row(
            cell(one.name),
            cell(one.dataset),
            _millions(one.parameters),
            f"{schedule['iterations'] // 1000}k",
            "×".join(map(str, schedule["crop_size"])),
            *(number(each[mode]) for each in (base, ours) for mode in ("ss", "ms")),
            number((one.mmseg or {}).get("ss")),
        )
    return table


def shipped_table(found: Iterable[ShippedModel]) -> Table:
    """A row for each: what it is, what was published, and why it cannot be trained here, if so."""
    table = make_table("name", "head", "backbone", "data set", "parameters", "mIoU", "usable", fold=(0, 6))
    for one in found:
        table.add_row(
            cell(one.name),
            cell(one.head),
            cell(one.backbone),
            cell(one.dataset),
            "" if one.parameters is None else _millions(one.parameters),
            number(one.mIoU),
            cell("yes" if one.unusable is None else f"no: {one.unusable}"),
        )
    return table


def print_recipe(document: Mapping[str, Any]) -> None:
    """All about one recipe, for people."""
    console = make_console()
    facts = make_table("", "", fold=(1,))
    facts.show_header = False
    paper, mmseg, weights = document["paper"], document["mmseg"], document["weights"]
    facts.add_row("recipe", cell(document["name"]))
    facts.add_row(
        "model",
        cell(f"{document['head']} on {document['backbone']}, {_millions(document['parameters'])} parameters"),
    )
    facts.add_row("file", cell(f"mmsegmentation's configs/{document['config']}.py"))
    facts.add_row("data set", cell(document["dataset"]))
    for method, numbers in paper.items():
        facts.add_row(
            cell(f"paper, {method.replace('_', ' ')}"),
            cell(f"mIoU {numbers['ss']} (ss), {numbers['ms']} (ms)"),
        )
    if mmseg is not None:
        note = f", {mmseg['note']}" if mmseg.get("note") else ""
        facts.add_row("mmsegmentation", cell(f"mIoU {mmseg['ss']} (ss), {mmseg['ms']} (ms){note}"))
    facts.add_row("weights", cell(f"{weights['name']}: rebalance weights fetch {weights['name']}"))
    console.print(facts)
    differences = make_table("field", "in the file", "in the recipe", "why", fold=(0, 1, 2, 3))
    for each in document["differences"]:
        differences.add_row(*(cell(_text(each[name])) for name in ("field", "file", "recipe", "why")))
    console.print(differences)
    console.print(cell("its whole spec: --json"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}M"
