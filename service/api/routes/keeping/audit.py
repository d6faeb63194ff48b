"""/audit: who asked for which change, and when, for administrators."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from service.api.dependencies import StoreDep
from service.api.entry.guard import administrators
from service.api.problems import documented
from service.shared.access.deeds import Action, Subject
from service.shared.keeping.schemas import DeedPublic
from service.shared.schemas import Page
from service.store.trail.audit import DeedFilters

router = APIRouter(tags=["audit"], dependencies=[Depends(administrators)])

_Word = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=200)]


class AuditQuery(BaseModel):
    """Parameters of GET /audit."""

    actor: list[_Word] = Field(default=[], max_length=20, description="Name of a token.")
    action: list[Action] = Field(default=[], max_length=20)
    kind: list[Subject] = Field(default=[], max_length=20, description="Of what was changed.")
    subject: list[_Word] = Field(default=[], max_length=20, description="Id of what was changed.")
    cursor: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=50, ge=1, le=200)


@router.get("/audit", responses=documented(HTTPStatus.BAD_REQUEST))
def find(query: Annotated[AuditQuery, Query()], store: StoreDep) -> Page[DeedPublic]:
    """Changes that somebody asked for, newest first. What was deleted is still named."""
    filters = DeedFilters(query.actor, query.action, query.kind, query.subject)
    found, following = store.audit.page(filters, cursor=query.cursor, limit=query.limit)
    return Page[DeedPublic](items=tuple(DeedPublic(**asdict(each)) for each in found), next_cursor=following)
