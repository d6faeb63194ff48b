"""The figures of a study, drawn: title, caption, rows, SVG, and the chart that a browser draws live."""

from __future__ import annotations

import base64
import csv
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from trainer.base.text import printable
from trainer.figures import render
from trainer.figures.captions import caption
from trainer.figures.catalogue import KINDS, Kind
from trainer.figures.charts import (
    ablation,
    accuracy,
    classes,
    confusion,
    cost,
    curves,
    frequencies,
    gain,
    parts,
    pictures,
    remark,
    seeds,
    trade,
)
from trainer.figures.rows.pictures import kept_pictures
from trainer.figures.rows.row import Missing, Row
from trainer.figures.study import Study

log = logging.getLogger(__name__)

_CHARTS: dict[str, Callable[[Sequence[Row], Study], Any]] = {
    "figure1": gain.chart,
    "seeds": seeds.chart,
    "figure3": classes.chart,
    "figure4": accuracy.chart,
    "figure5": frequencies.chart,
    "figure7": ablation.chart,
    "figure8": trade.chart,
    "remark1": remark.chart,
    "confusion": confusion.chart,
    "lambda": seeds.lambda_chart,
    "curves": curves.chart,
    "cost": cost.chart,
}


@dataclass(frozen=True)
class Figure:
    """One that could be drawn.

    Attributes:
        drawing: SVG whose ink is the page's; of pictures a JPEG in it.
        chart: for Vega's runtime, its rows within; None of pictures.
        image: of pictures, as a JPEG.
    """

    kind: Kind
    caption: str
    rows: Sequence[Row]
    drawing: str
    chart: Mapping[str, Any] | None = None
    image: bytes | None = None

    @property
    def name(self) -> str:
        return self.kind.name


@dataclass(frozen=True)
class Absent:
    """One that could not: what would be needed."""

    kind: Kind
    needs: str


def figures_of(study: Study, names: Sequence[str] = tuple(KINDS)) -> Iterator[Figure | Absent]:
    """Each of these figures, or why it is not there."""
    return (figure_of(study, KINDS[name]) for name in names)


def figure_of(study: Study, kind: Kind) -> Figure | Absent:
    """One figure, or why it is not there."""
    rows = kind.rows(study)
    if isinstance(rows, Missing):
        return Absent(kind, rows.needs)
    rows = [readable(row) for row in rows]
    under = caption(kind, study, rows)
    if kind.name not in _CHARTS:
        return _of_pictures(study, kind, rows, under)
    document = parts.with_rows(parts.finished(_CHARTS[kind.name](rows, study)), rows)
    try:
        chart = render.live(document)
        return Figure(kind, under, rows, render.svg(chart), chart)
    except ValueError as error:
        log.warning("%s cannot be drawn: %s", kind.name, error)
        return Absent(kind, "numbers that can be drawn; these could not")


def readable(row: Row) -> Row:
    """Its words without hidden letters, which no XML has, or which turn others around."""
    return {name: printable(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def _of_pictures(study: Study, kind: Kind, rows: Sequence[Row], under: str) -> Figure | Absent:
    try:
        drawn = pictures.drawn(kept_pictures(study), _class_names(study))
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        log.warning("kept pictures cannot be drawn: %s", error)
        return Absent(kind, "pictures that can be read: those kept are damaged or gone")
    image = pictures.jpeg(drawn)
    height, width = drawn.shape[:2]
    inside = base64.b64encode(image).decode()
    size = f'width="{width}" height="{height}"'
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}">'
        f'<image {size} href="data:image/jpeg;base64,{inside}"/></svg>'
    )
    return Figure(kind, under, rows, drawing, image=image)


def _class_names(study: Study) -> list[str]:
    return [one.name for one in study.settings[0].runs[0].scores.classes]


def as_csv(figure: Figure) -> str:
    """Its rows, every number in full. No cell is a formula to a spreadsheet."""
    out = io.StringIO()
    columns = list(dict.fromkeys(name for row in figure.rows for name in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(row.get(name)) for name in columns] for row in figure.rows)
    return out.getvalue()


def as_png(figure: Figure) -> bytes:
    """As a picture."""
    if figure.image is None:
        return render.png(figure.drawing)
    stream = io.BytesIO()
    Image.open(io.BytesIO(figure.image)).save(stream, "PNG")
    return stream.getvalue()


def as_svg(figure: Figure) -> str:
    """As a file of its own."""
    return render.on_paper(figure.drawing)


def _plain(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
