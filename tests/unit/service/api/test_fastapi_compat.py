"""What service/api/fastapi_compat.py takes from FastAPI is there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel

from service.api.fastapi_compat import query_parameters


class Page(BaseModel):
    limit: int = 10
    cursor: str | None = None


async def told(request: Request) -> None:
    request.state.names = query_parameters(request)


def test_parameters_of_a_route() -> None:
    """One by one, by alias, and those of a model, in a router that an application includes."""
    router = APIRouter()

    @router.get("/single")
    def single(request: Request, tag: Annotated[list[str], Query(alias="label")]) -> list[str]:
        return list(request.state.names)

    @router.get("/model/{name}")
    def model(request: Request, name: str, page: Annotated[Page, Query()]) -> list[str]:
        return list(request.state.names)

    app = FastAPI()
    app.include_router(router, dependencies=[Depends(told)])
    client = TestClient(app)
    assert client.get("/single", params={"label": "x"}).json() == ["label"]
    assert client.get("/model/x").json() == ["limit", "cursor"]
