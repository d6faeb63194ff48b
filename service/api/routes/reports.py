"""/comparisons/report and /sweeps/{id}/report: figures and tables in one HTML file, or one of its figures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service.api.dependencies import ReportsDep, SettingsDep, StoreDep, TablesDep
from service.api.problems import documented
from service.api.requests import BadParameter, NothingThere
from service.api.routes.comparisons import Ids, Mode, wanted_ids
from service.api.views.report_cache import Drawn
from service.api.views.report_sources import comparison_study, state_of, sweep_study
from trainer.base.errors import Problem
from trainer.figures.catalogue import KINDS

router = APIRouter(tags=["reports"])

Form = Literal["svg", "png", "csv"]
MEDIA: dict[Form, str] = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv; charset=utf-8"}
FigureName = Annotated[
    str | None,
    Query(
        max_length=40,
        description=f"One figure instead of the whole report, one of {', '.join(KINDS)}; with `format`.",
    ),
]
Format = Annotated[Form | None, Query(description="Of the figure; left out: svg.")]
_STRINGS = {media: {"schema": {"type": "string"}} for media in ("text/html", "image/svg+xml", "text/csv")}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report; a figure where one is asked for",
        "content": {**_STRINGS, "image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    **documented(*map(HTTPStatus, (404, 409, 503))),
}
# The page says in itself which scripts it may run; a drawing has none.
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_OWN_FRAMES = "frame-ancestors 'self'"
_NO_SCRIPTS = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"


@router.get("/comparisons/report", response_class=Response, responses=_ANSWERS)
def comparison_report(
    ids: Ids,
    store: StoreDep,
    settings: SettingsDep,
    reports: ReportsDep,
    mode: Mode = None,
    figure: FigureName = None,
    format: Format = None,
) -> Response:
    """Completed experiments, drawn: those alike but for their seed as one; the first is the reference."""
    _check(figure, format)
    rows = [store.get(each) for each in wanted_ids(ids)]
    basis = state_of(settings.layout, rows)
    name = f"comparison {ids} {mode}"
    with reports.drawn(name, basis, lambda: comparison_study(settings.layout, rows, mode)) as drawn:
        return _answer(drawn, figure, format)


@router.get("/sweeps/{sweep_id}/report", response_class=Response, responses=_ANSWERS)
def sweep_report(
    sweep_id: str,
    store: StoreDep,
    settings: SettingsDep,
    tables: TablesDep,
    reports: ReportsDep,
    figure: FigureName = None,
    format: Format = None,
) -> Response:
    """A sweep as far as it has come, drawn: its table, and figures of its rows."""
    _check(figure, format)
    row, trials = store.sweeps.get(sweep_id), store.trials(sweep_id)
    table = tables.table(row, trials, settings.layout)
    basis = row.state, state_of(settings.layout, trials)
    with reports.drawn(
        f"sweep {sweep_id}", basis, lambda: sweep_study(settings.layout, row, trials, table)
    ) as drawn:
        return _answer(drawn, figure, format)


def _check(figure: str | None, form: Form | None) -> None:
    if figure is not None and figure not in KINDS:
        raise BadParameter((Problem("/query/figure", f"{figure!r} is no figure", ", ".join(KINDS)),))
    if figure is None and form is not None:
        raise BadParameter((Problem("/query/format", "is of a figure", "with /query/figure"),))


def _answer(drawn: Drawn, name: str | None, form: Form | None) -> Response:
    """The page, or one figure in one form.

    Raises:
        NothingThere: the figure could not be drawn, and what would be needed.
    """
    if name is None:
        headers = {**_HEADERS, "Content-Security-Policy": _OWN_FRAMES}
        return Response(drawn.page, media_type="text/html; charset=utf-8", headers=headers)
    from trainer.figures.document.files import FORMS
    from trainer.figures.figure import Absent

    figure = drawn.figures[name]
    if isinstance(figure, Absent):
        raise NothingThere(f"{figure.kind.title} is not drawn: it needs {figure.needs}")
    form = form or "svg"
    headers = {
        **_HEADERS,
        "Content-Security-Policy": _NO_SCRIPTS,
        "Content-Disposition": f'inline; filename="{name}.{form}"',
    }
    return Response(FORMS[form](figure), media_type=MEDIA[form], headers=headers)
