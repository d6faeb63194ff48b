"""Class frequencies shown: as a document and as a table in a terminal.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer.base.text import printable
from trainer.data.frequency_tables import FrequencyTable
from trainer.results.metrics import frequency_groups, imbalance_factor

if TYPE_CHECKING:
    from rich.table import Table


def document(table: FrequencyTable, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints: `facts`, the imbalance factors, and a row for each class in label order."""
    rows = zip(table.classes, table.pixel, table.region, frequency_groups(table.pixel), strict=True)
    return {
        **facts,
        "pixel_imbalance_factor": imbalance_factor(table.pixel),
        "region_imbalance_factor": imbalance_factor(table.region),
        "classes": [
            {
                "class_index": k,
                "class_name": name,
                "pixel_frequency": pixels,
                "region_frequency": regions,
                "group": group,
            }
            for k, (name, pixels, regions, group) in enumerate(rows)
        ],
    }


def terminal_table(table: FrequencyTable) -> Table:
    """A row for each class, most pixels first; shares are of all pixels with a class, and of all regions."""
    from rich.table import Table
    from rich.text import Text

    view = Table(box=None, header_style="bold", pad_edge=False)
    view.add_column("id", justify="right")
    view.add_column("class", overflow="fold")
    for name in ("pixels", "%", "pictures", "% of regions"):
        view.add_column(name, justify="right")
    view.add_column("group")
    groups = frequency_groups(table.pixel)
    for k in _most_first(table.pixel):
        view.add_row(
            str(k),
            Text(printable(table.classes[k])),
            f"{table.pixel[k]:,}",
            f"{100 * table.pixel[k] / sum(table.pixel):.3f}",
            f"{table.region[k]:,}",
            f"{100 * table.region[k] / sum(table.region):.3f}",
            groups[k],
        )
    return view


def summary(table: FrequencyTable) -> list[str]:
    """The imbalance factors with the classes they are of, and how many classes never occur."""
    lines = [
        _factor_line("pixel", table.pixel, table.classes),
        _factor_line("region", table.region, table.classes),
    ]
    absent = table.pixel.count(0)
    if absent:
        lines.append(f"{absent} of {len(table.pixel)} classes never occur")
    return [printable(line) for line in lines]


def _most_first(counts: Sequence[int]) -> list[int]:
    return sorted(range(len(counts)), key=lambda k: -counts[k])


def _factor_line(word: str, counts: Sequence[int], classes: Sequence[str]) -> str:
    present = [k for k in _most_first(counts) if counts[k]]
    most, fewest = present[0], present[-1]
    ends = f"{classes[most]} {counts[most]:,} / {classes[fewest]} {counts[fewest]:,}"
    return f"{word} imbalance factor {_factor_text(imbalance_factor(counts))}: {ends}"


def _factor_text(factor: float | None) -> str:
    return "undefined" if factor is None else f"{factor:.2f}"
