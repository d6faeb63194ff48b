"""The application: settings in, a FastAPI app out, with everything wired and closed again."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, closing
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, FastAPI

from service.api import problems
from service.api.again.longer import ExtendRequest
from service.api.dependencies import known_parameters
from service.api.entry.guard import ALIVE, READY, Guard
from service.api.entry.hosts import OwnHosts, let_pages_in
from service.api.entry.owners import owners
from service.api.entry.queue_room import QueueRoom
from service.api.entry.throttle import Throttle
from service.api.openapi import add_bearer, add_schemas
from service.api.prefix import Prefix
from service.api.routes import (
    catalogue,
    comparisons,
    docs,
    events,
    experiments,
    health,
    metrics,
    outputs,
    queue,
    reports,
    streams,
    sweep_table,
    sweeps,
    tokens,
)
from service.api.routes.again import extend, extend_sweep, track_sweep
from service.api.routes.keeping import audit, deletions, gc
from service.api.routes.running import attempts, pausing
from service.api.routes.trained import checkpoints, evaluations, exports, followups, predictions
from service.api.trained.pruning import PruneRequest
from service.api.views.mlflow_facts import RunFacts
from service.api.views.report_cache import ReportCache
from service.api.views.table_cache import TableCache
from service.api.views.waiting import Queue
from service.api.views.whole_queue import WholeQueue
from service.api.watching.feed import Feed
from service.api.watching.metrics import Metrics
from service.api.watching.parts import Parts, cluster_trouble
from service.api.watching.request_log import RequestLog
from service.api.watching.sources import sources_of
from service.api.web import install as web
from service.api.web.errors import told
from service.housekeeping.delete import Deletion
from service.reconcile.cluster import Backend, RunCloser
from service.reconcile.mlflow_runs import MlflowRuns
from service.reconcile.queue.snapshots import Room
from service.reconcile.ray_backend import RayBackend
from service.reconcile.reconciler import Reconciler
from service.reconcile.thread import ReconcilerLoop
from service.scheduling.policy import PolicyFile
from service.shared.keeping.retention import GcRequest
from service.shared.network.proxies import way_to
from service.shared.schemas import ProblemDetail
from service.shared.settings import Settings, SettingsError
from service.shared.token_schemas import TokenCreate
from service.store.experiments import Store
from sweeps.document.spec import SweepSpec
from sweeps.document.stages import SweepExtension
from trainer.spec.followups import EvaluationRequest, ExportRequest
from trainer.spec.spec import ExperimentSpec
from trainer.storage.present import Presence

# The bodies that we read ourselves.
_SENT = (
    ExperimentSpec,
    SweepSpec,
    EvaluationRequest,
    ExportRequest,
    PruneRequest,
    ExtendRequest,
    GcRequest,
    SweepExtension,
)
_DESCRIPTION = """
Train and compare long-tailed semantic segmentation methods, region rebalance (arXiv 2204.01969) among them.

POST a spec to `/experiments`, follow it at `/experiments/{id}`, put results side by side at `/comparisons`.
A grid of them is one POST to `/sweeps`; its result is the table at `/sweeps/{id}/table`.
What was trained is scored again, labels pictures and is taken away at `/experiments/{id}/evaluations`,
`/predictions`, `/exports` and `/checkpoints`.
Every score is in percent. Errors are problem documents (RFC 9457) that name the field by JSON pointer.
"""


def create_app(
    settings: Settings,
    backend: Backend | None = None,
    runs: RunCloser | None = None,
    probe: str | None = None,
) -> FastAPI:
    """The service on `settings`; it does not start where its database has another schema (SchemaRefused).

    Without `backend`, jobs run on Ray; without `runs`, MLflow is the one that the settings name, if any.
    `probe`: a token with which the process that serves may look at /readyz, see `Guard`.

    Raises:
        SettingsError: there is neither a backend nor the address of one; PolicyError: no file of rules.
        ProxyRefused: the environment names a proxy for Ray or MLflow that cannot be used.
    """
    policy = PolicyFile(settings.policy)
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
            reconciler = Reconciler(store, cluster, settings, runs=mlflow, policy=policy)
            presence = Presence(settings.layout, lambda: store.last_started() is not None)
            app.state.presence = presence
            loop = ReconcilerLoop(
                reconciler, store, poll_seconds=settings.poll_seconds, check_storage=presence.check
            )
            _fill_state(app, settings, store, cluster, loop, mlflow, policy)
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
        responses=problems.documented(*_everywhere(settings)),
    )
    app.state.metrics = Metrics(app.version)
    problems.install(app)
    _add_entry(app, settings, probe)
    _add_routes(app, settings)
    _complete_openapi(app, settings)
    return app


def _fill_state(
    app: FastAPI,
    settings: Settings,
    store: Store,
    cluster: Backend,
    loop: ReconcilerLoop,
    mlflow: RunCloser | None,
    policy: PolicyFile,
) -> None:
    """What routes are given: see dependencies.py."""
    app.state.settings = settings
    app.state.store = store
    app.state.backend = cluster
    app.state.reconciler = loop
    app.state.run_facts = RunFacts(mlflow)
    app.state.queue = Queue(store, settings)
    app.state.whole_queue = WholeQueue(store.queue, Room(cluster, settings.max_running), policy)
    app.state.policy = policy
    app.state.deletion = Deletion(store, settings.layout, mlflow)
    app.state.tables = TableCache()
    app.state.reports = ReportCache()
    app.state.room = QueueRoom(tuple(store.ledgers.values()), settings.max_queued)
    app.state.feed = Feed(store.ledgers)
    asks: dict[str, Callable[[], str | None]] = {"backend": lambda: cluster_trouble(cluster)}
    if settings.mlflow_server is not None:
        asks["mlflow"] = app.state.run_facts.trouble
    app.state.parts = Parts(asks)
    app.state.metrics.watch(sources_of(store, loop, app.state.parts))


def _everywhere(settings: Settings) -> tuple[HTTPStatus, ...]:
    """What every route may answer."""
    by_token = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) if settings.closed else ()
    return (HTTPStatus.MISDIRECTED_REQUEST, *by_token)


def _add_entry(app: FastAPI, settings: Settings, probe: str | None) -> None:
    """What a request passes before the routes, the last one first."""
    app.add_middleware(Throttle, settings.max_reads_per_second, settings.max_writes_per_second, told)
    if settings.closed:
        app.add_middleware(Guard, probe, told)
    let_pages_in(app, settings)
    app.add_middleware(OwnHosts, settings)
    app.add_middleware(RequestLog, app.state.metrics)
    # Only this machine's processes reach loopback: such a header is of a reverse proxy here.
    app.add_middleware(Prefix, settings.root_path, forwarded=settings.on_loopback)


def _add_routes(app: FastAPI, settings: Settings) -> None:
    """All parts of the API, in the order of its documents."""
    trained = (extend, checkpoints, evaluations, predictions, exports, followups)
    shown = (events, streams, sweeps, extend_sweep, track_sweep, sweep_table, comparisons, reports)
    kept = (deletions, audit, gc)
    for part in (experiments, pausing, attempts, outputs, *trained, *shown, *kept):
        _include(app, part.router, HTTPStatus(422), HTTPStatus.SERVICE_UNAVAILABLE)
    _include(app, queue.router, HTTPStatus(422), HTTPStatus.SERVICE_UNAVAILABLE)
    _include(app, catalogue.router, HTTPStatus(422))
    if settings.closed:
        _include(app, tokens.router, HTTPStatus(422), HTTPStatus.SERVICE_UNAVAILABLE)
    for part in (health, metrics, docs):
        app.include_router(part.router)
    web.install(app, settings)


def _include(app: FastAPI, router: APIRouter, *problem: HTTPStatus) -> None:
    """Adds routes that refuse parameters they do not know; each may answer `problem` besides its own."""
    may_answer = problems.documented(*problem)
    app.include_router(
        router, dependencies=[Depends(known_parameters), Depends(owners)], responses=may_answer
    )


def _refuse_proxies(*addresses: str | None) -> None:
    """Raises ProxyRefused now: at the first request it would look like a server that is down."""
    for address in addresses:
        if address is not None:
            way_to(address, os.environ)


def _ray_address(settings: Settings) -> str:
    if settings.ray_address is None:
        raise SettingsError("REBALANCE_RAY_ADDRESS: is missing; allowed: the URL of Ray's Jobs API")
    return settings.ray_address


def _complete_openapi(app: FastAPI, settings: Settings) -> None:
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = add_schemas(plain(), *_SENT, ProblemDetail)
            if settings.closed:
                document = add_bearer(add_schemas(document, TokenCreate), without=(ALIVE, READY))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]


def _version() -> str:
    try:
        return importlib.metadata.version("region-rebalance")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0+unknown"
