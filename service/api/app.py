"""The application: settings in, a FastAPI app out, with everything wired and closed again."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.dependencies import known_parameters
from service.api.mlflow_facts import RunFacts
from service.api.openapi import add_schemas
from service.api.prefix import Prefix
from service.api.routes import (
    catalogue,
    comparisons,
    docs,
    events,
    experiments,
    health,
    outputs,
    sweep_table,
    sweeps,
)
from service.api.table_cache import TableCache
from service.reconcile.cluster import Backend, RunCloser
from service.reconcile.mlflow_runs import MlflowRuns
from service.reconcile.ray_backend import RayBackend
from service.reconcile.reconciler import Reconciler
from service.reconcile.thread import ReconcilerLoop
from service.shared.proxies import way_to
from service.shared.schemas import ProblemDetail
from service.shared.settings import Settings, SettingsError
from service.store.experiments import Store
from sweeps.document.spec import SweepSpec
from trainer.base.errors import Problem
from trainer.spec.spec import ExperimentSpec

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_DESCRIPTION = """
Train and compare long-tailed semantic segmentation methods, region rebalance (arXiv 2204.01969) among them.

POST a spec to `/experiments`, follow it at `/experiments/{id}`, put results side by side at `/comparisons`.
A grid of them is one POST to `/sweeps`; its result is the table at `/sweeps/{id}/table`.
Every score is in percent. Errors are problem documents (RFC 9457) that name the field by JSON pointer.
"""


def create_app(settings: Settings, backend: Backend | None = None, runs: RunCloser | None = None) -> FastAPI:
    """The service on `settings`; it does not start where its database has another schema (SchemaRefused).

    Without `backend`, jobs run on Ray; without `runs`, MLflow is the one that the settings name, if any.

    Raises:
        SettingsError: there is neither a backend nor the address of one.
        ProxyRefused: the environment names a proxy for Ray or MLflow that cannot be used.
    """
    _refuse_proxies(settings.mlflow_server, None if backend is not None else _ray_address(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as opened:
            settings.layout.folder.make()
            store = Store(settings.database)
            opened.callback(store.close)
            store.refuse_schema()
            cluster = backend
            if cluster is None:
                cluster = opened.enter_context(
                    closing(RayBackend(_ray_address(settings), most=settings.max_cluster))
                )
            mlflow = runs
            if mlflow is None and settings.mlflow_server is not None:
                mlflow = opened.enter_context(closing(MlflowRuns(settings.mlflow_server)))
            reconciler = Reconciler(store, cluster, settings, runs=mlflow)
            loop = ReconcilerLoop(reconciler, store, poll_seconds=settings.poll_seconds)
            app.state.settings = settings
            app.state.store = store
            app.state.backend = cluster
            app.state.reconciler = loop
            app.state.run_facts = RunFacts(mlflow)
            app.state.tables = TableCache()
            loop.start()
            opened.callback(loop.stop)
            yield

    app = FastAPI(
        title="region-rebalance",
        version=_version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=problems.documented(HTTPStatus.MISDIRECTED_REQUEST),
    )
    problems.install(app)
    if settings.host in _LOOPBACK:
        app.add_middleware(_OwnNames)
    # Only this machine's processes reach loopback: such a header is of a reverse proxy here.
    app.add_middleware(Prefix, settings.root_path, forwarded=settings.host in _LOOPBACK)
    for part in (experiments, outputs, events, sweeps, sweep_table, comparisons):
        _include(app, part.router, HTTPStatus(422), HTTPStatus.SERVICE_UNAVAILABLE)
    _include(app, catalogue.router, HTTPStatus(422))
    for part in (health, docs):
        app.include_router(part.router)
    _complete_openapi(app)
    return app


def _include(app: FastAPI, router: APIRouter, *problem: HTTPStatus) -> None:
    """Adds routes that refuse parameters they do not know; each may answer `problem` besides its own."""
    may_answer = problems.documented(*problem)
    app.include_router(router, dependencies=[Depends(known_parameters)], responses=may_answer)


class _OwnNames:
    """Refuses requests for other hosts: a web page may give this machine's address a name of its own
    (DNS rebinding), and would then be let in as the same origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (host := Request(scope).url.hostname) not in _LOOPBACK:
            allowed = Problem("/headers/host", f"{host!r} is not this service", ", ".join(sorted(_LOOPBACK)))
            answer = problems.problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "Unknown host",
                str(allowed),
                kind="unknown-host",
                errors=[allowed],
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _refuse_proxies(*addresses: str | None) -> None:
    """Raises ProxyRefused now: at the first request it would look like a server that is down."""
    for address in addresses:
        if address is not None:
            way_to(address, os.environ)


def _ray_address(settings: Settings) -> str:
    if settings.ray_address is None:
        raise SettingsError("REBALANCE_RAY_ADDRESS: is missing; allowed: the URL of Ray's Jobs API")
    return settings.ray_address


def _complete_openapi(app: FastAPI) -> None:
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = add_schemas(plain(), ExperimentSpec, SweepSpec, ProblemDetail)
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]


def _version() -> str:
    try:
        return importlib.metadata.version("region-rebalance")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0+unknown"
