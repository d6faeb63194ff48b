"""/healthz: the process answers. /readyz: everything it needs answers as well."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from service.api.dependencies import BackendDep, ReconcilerDep, SettingsDep, StoreDep
from service.api.problems import documented, problem
from service.reconcile.cluster import Backend, BackendUnreachable
from service.reconcile.reconciler import utc_now
from service.shared.schemas import Health, Readiness
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from trainer.base.errors import Problem

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz(request: Request) -> Health:
    """The process is alive."""
    return Health(version=request.app.version, time=utc_now())


@router.get("/readyz", response_model=Readiness, responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
def readyz(
    store: StoreDep, backend: BackendDep, settings: SettingsDep, reconciler: ReconcilerDep
) -> Response:
    """Database, storage, cluster and reconciler are all well; otherwise 503, naming what is not."""
    checks = {
        "database": _database(store),
        "storage": _storage(settings.layout.root),
        "backend": _cluster(backend),
        "reconciler": reconciler.trouble(),
    }
    failed = {name: why for name, why in checks.items() if why is not None}
    if failed:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        errors = [Problem(f"/checks/{name}", why, "ok") for name, why in failed.items()]
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", told, kind="not-ready", errors=errors)
    found = Readiness(status="ok", checks=dict.fromkeys(checks, "ok"))
    return JSONResponse(found.model_dump(mode="json"))


def _database(store: Store) -> str | None:
    try:
        store.ping()
    except StoreUnavailable as error:
        return str(error)
    return None


def _storage(root: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=root):
            return None
    except OSError as error:
        return f"cannot write to {root}: {error.strerror}"


def _cluster(backend: Backend) -> str | None:
    try:
        backend.ping()
    except BackendUnreachable as error:
        return str(error)
    return None
