"""Class frequencies shown: as a document, a table in a terminal, and the paper's Figure 5.

Letters: K classes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.base.files import write_where_asked
from trainer.base.text import printable
from trainer.data.frequency_tables import FrequencyTable
from trainer.results.metrics import frequency_groups, imbalance_factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

_NAMED_BARS = 40  # above this, names below the bars could not be read


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


def write_figure(path: Path, table: FrequencyTable, *, title: str) -> None:
    """Pixel and region frequency of the classes, each sorted, on a log scale (arXiv 2204.01969, Fig. 5a).

    Args:
        path: ends in .png or .svg. The same table gives the same bytes with one version of matplotlib.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    kind = path.suffix.lower().removeprefix(".")
    # Not pyplot, which keeps figures and may open windows; fixed seeds of ids, and no date.
    with mpl.rc_context(
        {"svg.hashsalt": "region-rebalance", "svg.fonttype": "none", "axes.unicode_minus": False}
    ):
        figure = Figure(figsize=(12, 4.5), layout="constrained")
        figure.suptitle(_plain(title))
        left, right = figure.subplots(1, 2)
        # Both panels span the same factor, so that the steeper one is the more unbalanced.
        span = max(imbalance_factor(counts) or 1.0 for counts in (table.pixel, table.region))
        _draw(left, table.pixel, table.classes, ("pixel", "pixels"), span)
        _draw(right, table.region, table.classes, ("region", "pictures with the class"), span)
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    write_where_asked(path, content.getvalue())


def _draw(
    axes: Axes, counts: Sequence[int], classes: Sequence[str], words: tuple[str, str], span: float
) -> None:
    word, unit = words
    order = [k for k in _most_first(counts) if counts[k]]  # log 0 is nowhere
    axes.bar(range(len(order)), [counts[k] for k in order], width=0.9)
    axes.set_yscale("log")
    axes.set_ylim(max(counts) / span / 2, max(counts) * 1.5)
    axes.set_ylabel(unit)
    axes.set_title(f"{word} frequency, imbalance factor {_factor_text(imbalance_factor(counts))}")
    if len(order) <= _NAMED_BARS:
        names = [_plain(classes[k]) for k in order]
        axes.set_xticks(range(len(order)), names, rotation=60, ha="right", fontsize=8)
    else:
        axes.set_xlabel(f"{len(order)} classes, most frequent first")


def _plain(text: str) -> str:
    """`text` as matplotlib shows it as it is: no formula between two dollars, no letter that fonts lack."""
    return printable(text).replace("$", r"\$")


def _most_first(counts: Sequence[int]) -> list[int]:
    return sorted(range(len(counts)), key=lambda k: -counts[k])


def _factor_line(word: str, counts: Sequence[int], classes: Sequence[str]) -> str:
    present = [k for k in _most_first(counts) if counts[k]]
    most, fewest = present[0], present[-1]
    ends = f"{classes[most]} {counts[most]:,} / {classes[fewest]} {counts[fewest]:,}"
    return f"{word} imbalance factor {_factor_text(imbalance_factor(counts))}: {ends}"


def _factor_text(factor: float | None) -> str:
    return "undefined" if factor is None else f"{factor:.2f}"
