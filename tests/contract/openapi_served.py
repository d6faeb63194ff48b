"""The application as Schemathesis asks it, and a store in which there is something of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import schemathesis
from schemathesis.schemas import BaseSchema
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.app import create_app
from service.migrations import migrate
from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.states import State
from service.store.new_rows import new_followup
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import Cluster, TestClient, bearer, make_token
from tests.unit.service.followup_job import REQUESTS, failed_followup, followup_report, leave, request
from tests.unit.service.sweep_job import sweep_document

URL = "http://127.0.0.1"
# Beside `prune` lies the route of a checkpoint's name, so the framework names GET as well.
PRUNE = {
    "include-path": "/experiments/{experiment_id}/checkpoints/prune",
    "checks": {"allow_header_conformance": {"enabled": False}},
}
CHECKS = {
    # A schema cannot say all that is refused: a cursor of another list, a crop above the pictures.
    "positive_data_acceptance": {"enabled": False},
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
}


class Served:
    """The application of the moment; its lifespan is the fixture's."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)


def described(document: dict[str, Any], served: Served) -> BaseSchema:
    """What Schemathesis makes of a document; the same requests each time."""
    told = {
        "base-url": URL,
        "generation": {"deterministic": True, "with-security-parameters": False},
        "checks": CHECKS,
        "operations": [PRUNE],
    }
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(told))
    schema.app = served
    return schema


@contextmanager
def filled(told: Settings, served: Served) -> Iterator[dict[str, list[str]]]:
    """Ids that there are, by parameter: of an experiment that waits, one with a report and one that failed;
    of a sweep with a table; of follow-ups that wait, completed and failed. The service's own cluster is down.
    """
    migrate(told)
    backend = FakeBackend()
    backend.down = True
    served.app = app = create_app(told, backend)
    headers = bearer(make_token(told).token) if told.closed else {}
    with TestClient(app, base_url=URL, headers=headers) as client:
        waiting = str(client.post("/experiments", json=spec_document()).json()["id"])
        sweep = str(client.post("/sweeps", json=sweep_document()).json()["id"])
        cluster = Cluster(told)
        job = cluster.job(sweep)
        job.complete(0)
        job.fail(1)
        job.complete(2)
        job.complete(3)
        cluster.step()
        trained = job.id(0)
        yield {
            "experiment_id": [waiting, trained, job.id(1)],
            "sweep_id": [sweep],
            "followup_id": _followups(cluster, trained),
        }
        cluster.store.close()


def _followups(cluster: Cluster, experiment: str) -> list[str]:
    """Two of each kind, of a trained experiment: one has a result, the other waits, or has failed."""
    leave_checkpoints(cluster.settings.layout, experiment)
    found = []
    for kind in REQUESTS:
        for _ in range(2):
            new = new_followup(experiment, request(kind), now=utc_now(), key=None, request_hash="h")
            found.append(cluster.store.followups.create(new))
    done, failed = found[::2], found[1]
    for row in done:
        here = cluster.settings.layout.followup(experiment, row.id)
        here.labels.write(b"png")
        here.export.file("model.safetensors").write(b"01234")
        leave(cluster.settings.layout, followup_report(row))
    leave(cluster.settings.layout, failed_followup(failed))
    for row in (*done, failed):
        cluster.store.followups.transition(row, to=State.SUBMITTED, reason="by hand", now=utc_now())
    cluster.step()
    assert {each.state for each in (cluster.store.followups.get(row.id) for row in done)} == {State.COMPLETED}
    return [row.id for row in found]
