"""/sweeps/{id}/table: what a sweep has measured so far, in the form that was asked for."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from service.api.dependencies import SettingsDep, StoreDep, TablesDep
from service.api.negotiation import accepted
from service.api.problems import documented
from sweeps.results.formats import FORMATS
from sweeps.results.table import Table

router = APIRouter(tags=["sweeps"])

Format = Literal["json", "markdown", "csv", "latex"]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "latex": "application/x-tex",
}
_TEXTS = {media: {"schema": {"type": "string"}} for form, media in MEDIA.items() if form != "json"}


@router.get(
    "/sweeps/{sweep_id}/table",
    response_model=Table,
    responses={
        200: {"content": _TEXTS},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE),
    },
)
def table(
    sweep_id: str,
    store: StoreDep,
    settings: SettingsDep,
    tables: TablesDep,
    format: Annotated[Format | None, Query(description="Goes before Accept.")] = None,
    # OpenAPI tells of Accept by the types of the answers, and ignores a parameter of this name.
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Rows over seeds and differences to the first row, so far; JSON unless asked otherwise."""
    row = store.sweeps.get(sweep_id)
    media = MEDIA[format] if format else accepted(accept, tuple(MEDIA.values()))
    made = tables.table(row, store.trials(sweep_id), settings.layout)
    form = next(each for each, name in MEDIA.items() if name == media)
    return Response(FORMATS[form](made), media_type=media)
