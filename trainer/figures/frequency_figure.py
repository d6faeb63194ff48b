"""Figure 5 of a table of frequencies alone, as a file: `rebalance frequencies … --figure`."""

from __future__ import annotations

from pathlib import Path

from trainer.base.files import write_where_asked
from trainer.base.text import printable
from trainer.data.frequency_tables import FrequencyTable
from trainer.figures import render
from trainer.figures.charts.frequencies import chart
from trainer.figures.charts.parts import finished, with_rows
from trainer.figures.figure import readable
from trainer.figures.rows.frequencies import rows_of


def write_frequency_figure(path: Path, table: FrequencyTable, *, title: str, dataset: str = "") -> None:
    """Pixel and region frequency of the classes, each sorted, on a log scale (arXiv 2204.01969, Fig. 5a).

    Args:
        path: ends in .png or .svg. The same table gives the same bytes with one version of vl-convert.
        dataset: its name, by which the paper's imbalance factors are found.
    """
    rows = [readable(row) for row in rows_of(table, printable(title), dataset=dataset)]
    drawing = render.svg(render.live(with_rows(finished(chart(rows)), rows)))
    as_png = path.suffix.lower() == ".png"
    write_where_asked(path, render.png(drawing) if as_png else render.on_paper(drawing))
