"""/healthz: the process answers. /readyz: what it needs to take requests does, and how the rest is."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from service.api.dependencies import PartsDep, ReconcilerDep, SettingsDep, StoreDep, WholeQueueDep
from service.api.entry.guard import may_see_details
from service.api.problems import documented, problem
from service.reconcile.reconciler import utc_now
from service.shared.health_schemas import Health, Readiness
from service.store.experiments import Store
from service.store.records import StoreUnavailable
from trainer.base.errors import DiskFull, Problem, StorageAway
from trainer.base.files import full_disk_told
from trainer.storage.present import Presence

router = APIRouter(tags=["health"])
_NEEDED = frozenset({"database", "storage"})  # to take requests; without the rest they are kept
_PROBE = bytes(4096)  # a full disk takes a file, but nothing in it


@router.get("/healthz")
def healthz(request: Request) -> Health:
    """The process is alive."""
    return Health(version=request.app.version, time=utc_now())


@router.get("/readyz", response_model=Readiness, responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
def readyz(
    request: Request,
    store: StoreDep,
    parts: PartsDep,
    settings: SettingsDep,
    reconciler: ReconcilerDep,
    whole: WholeQueueDep,
) -> Response:
    """Whether requests can be taken: 503, naming each part that is not well, where database or storage fails.

    Without the cluster experiments are stored and wait, without MLflow they go on and are sent there later:
    200 and `degraded`, with the reason at the part. Where tokens are asked for, who shows none is told the
    status alone.
    """
    asked = parts.troubles()
    checks = {
        "database": _database(store),
        "storage": _storage(settings.layout.root, request.app.state.presence),
        "backend": asked.pop("backend"),
        "reconciler": reconciler.trouble(),
    }
    if settings.policy is not None:
        checks["policy"] = whole.trouble()
    checks |= asked
    failed = {name: why for name, why in checks.items() if why is not None}
    fails = not _NEEDED.isdisjoint(failed)
    if (refusal := store.refusal()) is not None:  # what is stored can be read all the same
        failed.setdefault("database", f"takes no changes: {refusal}")
    if not may_see_details(request, closed=settings.closed):
        return _in_a_word(fails=fails, degraded=bool(failed))
    if fails:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        errors = [Problem(f"/checks/{name}", why, "ok") for name, why in failed.items()]
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", told, kind="not-ready", errors=errors)
    role, lead = reconciler.role()
    checked = dict.fromkeys(checks, "ok") | failed
    found = Readiness(status="degraded" if failed else "ok", checks=checked, role=role, lead=lead)
    return JSONResponse(found.model_dump(mode="json"))


def _in_a_word(*, fails: bool, degraded: bool) -> Response:
    """The answer to strangers: no part is named, no address, no directory."""
    if fails:
        told = "the service cannot take requests now; a viewer's token is told why"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", told, kind="not-ready")
    found = Readiness(status="degraded" if degraded else "ok")
    return JSONResponse(found.model_dump(mode="json", exclude={"role", "lead"}))


def _database(store: Store) -> str | None:
    try:
        store.ping()
    except StoreUnavailable as error:
        return str(error)
    return None


def _storage(root: Path, presence: Presence) -> str | None:
    try:
        presence.check()
        with full_disk_told(root), tempfile.TemporaryFile(dir=root, buffering=0) as stream:
            stream.write(_PROBE)
            return None
    except (DiskFull, StorageAway, StoreUnavailable) as error:
        return str(error)
    except OSError as error:
        return f"cannot write to {root}: {error.strerror}"
