"""/tokens: who may come in, for administrators. An open service has none of these routes."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends

from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import StoreDep
from service.api.entry.guard import needs
from service.api.problems import documented
from service.api.requests import BadParameter
from service.reconcile.reconciler import utc_now
from service.shared.schemas import Page
from service.shared.token_schemas import TokenCreate, TokenCreated, TokenPublic
from service.shared.tokens import Scope
from trainer.base.documents import parse_document
from trainer.base.pointers import validated

router = APIRouter(tags=["tokens"], dependencies=[Depends(needs(Scope.ADMIN))])

_BODY = json_body(
    TokenCreate,
    {
        "all fields": ("May submit, for three months", {"name": "kim", "scope": "user", "expires_days": 90}),
        "shortest": ("A user's, without an end", {"name": "kim"}),
    },
)


@router.post(
    "/tokens",
    status_code=HTTPStatus.CREATED,
    openapi_extra=_BODY,
    responses=documented(*map(HTTPStatus, (400, 408, 413, 415))),
)
def create(body: JsonBodyDep, store: StoreDep) -> TokenCreated:
    """Makes a token. Its text is in this answer and nowhere else."""
    document = parse_document(body)
    asked = validated(TokenCreate, document, BadParameter)
    return store.tokens.create(asked, now=utc_now())


@router.get("/tokens")
def find(store: StoreDep) -> Page[TokenPublic]:
    """All tokens that were ever made, newest first, on one page."""
    now = utc_now()
    return Page[TokenPublic](items=tuple(each.public(now) for each in store.tokens.all()))


@router.delete("/tokens/{token_id}", responses=documented(HTTPStatus.NOT_FOUND))
def revoke(token_id: str, store: StoreDep) -> TokenPublic:
    """From now on it does not count. Asked twice, nothing changes."""
    now = utc_now()
    return store.tokens.revoke(token_id, now=now).public(now)
