"""A comparison's JSON as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from service.cli.tables.experiments import NONE, Document, cell, make_table, number
from trainer.results.scores import BY_PICTURE, HEADLINE, GroupScores, column_title

_OVER = ("pictures", "worst 5 %", "classes", "worst 5 %")  # what the mean of each of BY_PICTURE is over
_GROUPS = tuple(GroupScores.model_fields)


def comparison_table(comparison: Document) -> Table:
    """One row for each experiment of a comparison's JSON; percent, and points against the first."""
    others = [name for name in HEADLINE if name not in ("mIoU", "aAcc")]
    titles = [column_title(name) for name in others]
    table = make_table("id", "method", "seed", "mIoU", "ΔmIoU", *titles, "time")
    for column in table.columns[2:]:
        column.justify = "right"
    table.columns[1].no_wrap = False
    for position, row in enumerate(comparison["rows"]):
        table.add_row(
            row["experiment"],
            cell(row["method"]),
            str(row["seed"]),
            number(row["mIoU"]),
            number(row["delta_mIoU"], signed=True) if position else "",
            *(number(row[name]) for name in others),
            f"{row['seconds']:.0f} s",
        )
    return table


def pictures_table(comparison: Document) -> Table:
    """One row for each experiment: scores of single pictures, and groups by pictures instead of pixels."""
    table = make_table("id", "method", "seed", *_OVER, *_GROUPS, right=2, fold=(1,))
    table.caption = "mean IoU in single pictures; head, body, tail: groups by training pictures"
    table.caption_justify = "left"
    for row in comparison["rows"]:
        groups = row["region_frequency_groups"] or {}
        table.add_row(
            row["experiment"],
            cell(row["method"]),
            str(row["seed"]),
            *(number(row[name]) for name in BY_PICTURE),
            *(number(groups.get(name)) for name in _GROUPS),
        )
    return table


def classes_table(comparison: Document) -> Table:
    """IoU of every class, and its differences to the first experiment."""
    names = [row["method"] for row in comparison["rows"]]
    table = make_table("class", "group", "pixels", "pictures", names[0], *(f"Δ {name}" for name in names[1:]))
    for column in table.columns[2:]:
        column.justify = "right"
    for column in table.columns[4:]:
        column.no_wrap = False
    for each in comparison["classes"]:
        deltas = [number(delta, signed=True) for delta in each["delta_iou"][1:]]
        counts = (f"{each['pixel_frequency']:,}", f"{each['region_frequency']:,}")
        table.add_row(cell(each["name"]), each["group"], *counts, number(each["iou"][0]), *deltas)
    return table


def correlation_table(comparison: Document) -> Table:
    """How the accuracies of an experiment's classes go with their training frequencies (Pearson, percent)."""
    table = make_table("id", "method", "Acc and pixels, %", "Acc and pictures, %")
    table.columns[1].no_wrap = False
    table.columns[2].justify = table.columns[3].justify = "right"
    for row in comparison["rows"]:
        correlations = (number(row["pearson_pixel"]), number(row["pearson_region"]))
        table.add_row(row["experiment"], cell(row["method"]), *correlations)
    return table


def remark_tables(comparison: Document) -> Iterator[Table]:
    """For each experiment but the first what Remark 1 says of every class; ' is after, without it before."""
    first, *others = comparison["rows"]
    for position, row in enumerate(others, start=1):
        table = make_table("class", "Acc", "gain g", "FP' − (1+g)·FP", "", "g·n", "Remark 1", "IoU")
        table.title = cell(
            f"{row['experiment']} {row['method']} against {first['experiment']} {first['method']}"
        )
        table.title_justify = table.caption_justify = "left"
        table.caption = _remark_sums(row["remark"])
        for column in (table.columns[2], table.columns[3], table.columns[5]):
            column.justify = "right"
        for each in comparison["classes"]:
            if (found := each["remark"][position]) is not None:
                table.add_row(cell(each["name"]), *_remark_cells(found))
        yield table


def _remark_cells(found: Document) -> tuple[str, ...]:
    rose = {True: "rose", False: NONE}
    gain, left, right = (found[name] for name in ("gain", "false_positives", "allowance"))
    return (
        rose[found["acc_rose"]],
        NONE if gain is None else f"{100 * gain:+.1f} %",
        NONE if left is None else f"{left:z,.0f}",
        "<" if found["held"] else "≥",
        NONE if right is None else f"{right:z,.0f}",
        NONE if not found["acc_rose"] else "held" if found["held"] else "failed",
        rose[found["iou_rose"]],
    )


def _remark_sums(sums: Document | None) -> str:
    if sums is None:
        return "Remark 1: not on the same labels"
    return (
        f"Acc rose in {sums['acc_rose']} of {sums['classes']} classes, "
        f"Remark 1 held for {sums['held']} of them; IoU rose in {sums['iou_rose']}"
    )
