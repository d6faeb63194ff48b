"""A study as one HTML file: it loads nothing, stands without scripts and in print, and is live with them."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.base.text import printable
from trainer.figures.captions import about
from trainer.figures.charts.parts import ROWS
from trainer.figures.figure import Absent, Figure, figures_of
from trainer.figures.rows import correlations
from trainer.figures.rows.row import Row
from trainer.figures.study import Study

_SCRIPTS = ("vendor/vega.min.js", "vendor/vega-interpreter.min.js", "report.js")
_STYLE = "report.css"


def report_html(study: Study, figures: Sequence[Figure | Absent] | None = None) -> str:
    """The whole report; `figures` where they are drawn already."""
    found = list(figures_of(study)) if figures is None else figures
    drawn = [one for one in found if isinstance(one, Figure)]
    scripts = [_file(name) for name in _SCRIPTS]
    page: str = _template().render(
        study=study,
        about=about(study),
        figures=drawn,
        absent=[one for one in found if isinstance(one, Absent)],
        correlations=correlations.grid(study),
        charts={figure.name: _data(figure) for figure in drawn},
        scripts=scripts,
        style=_file(_STYLE),
        policy=_policy(scripts, _file(_STYLE)),
        version=_version(),
    )
    return page


def _policy(scripts: Sequence[str], style: str) -> str:
    """Only these scripts and this style, by their digests; pictures that are in the file; nothing else."""
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)};"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(figure: Figure) -> str:
    """The figure's rows and its live chart as JSON that ends no script element."""
    table = _table(figure.rows)
    document = {"table": table, "chart": None if figure.chart is None else _without_rows(figure.chart)}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _without_rows(chart: Mapping[str, Any]) -> dict[str, Any]:
    """The rows stand beside it."""
    named = [one if one["name"] != ROWS else {"name": ROWS} for one in chart["data"]]
    return {**chart, "data": named}


def _table(rows: Sequence[Row]) -> dict[str, Any]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}


@cache
def _template() -> Any:
    found = Environment(
        loader=PackageLoader("trainer.figures.document", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # what is `safe` is ours
    )
    return found.get_template("report.html.j2")


@cache
def _file(name: str) -> str:
    return resources.files("trainer.figures.document").joinpath(name).read_text(encoding="utf-8")


def _version() -> str:
    try:
        return importlib.metadata.version("region-rebalance")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0+unknown"
