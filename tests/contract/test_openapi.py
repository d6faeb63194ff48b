"""The OpenAPI document against the API: what is sent for it, at random but seeded, is answered as it says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.app import create_app
from service.migrations import migrate
from service.shared.settings import Settings
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import Cluster, TestClient
from tests.unit.service.sweep_job import sweep_document

URL = "http://127.0.0.1"
EXAMPLES = 6  # for each operation, beside its boundary values; all of it takes about a minute
DOCUMENT = create_app(Settings(), FakeBackend()).openapi()
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
    told = {"generation": {"deterministic": True}, "checks": CHECKS}
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(told))
    schema.app = served
    return schema


SERVED = Served()
SCHEMA = described(DOCUMENT, SERVED)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Ids that there are, by parameter: of an experiment that waits, one with a report and one that failed;
    of a sweep with a table. The service's own cluster is down, its database is SQLite.
    """
    told = Settings(data_dir=tmp_path_factory.mktemp("data"), poll_seconds=3600)
    migrate(told)
    backend = FakeBackend()
    backend.down = True
    SERVED.app = app = create_app(told, backend)
    with TestClient(app, base_url=URL) as client:
        waiting = str(client.post("/experiments", json=spec_document()).json()["id"])
        sweep = str(client.post("/sweeps", json=sweep_document()).json()["id"])
        cluster = Cluster(told)
        job = cluster.job(sweep)
        job.complete(0)
        job.fail(1)
        job.complete(2)
        job.complete(3)
        cluster.step()
        yield {"experiment_id": [waiting, job.id(0), job.id(1)], "sweep_id": [sweep]}
        cluster.store.close()


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_documented(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """Status, media type, headers and body are as the document says, and 503 is the only 5xx; what breaks the
    document's rules is refused. Routes with an id are asked about those that exist as well.
    """
    case.validate_response(case.call(base_url=URL))
    for name in case.path_parameters.keys() & known.keys():
        for identifier in known[name]:
            case.path_parameters[name] = identifier
            case.validate_response(case.call(base_url=URL), excluded_checks=[negative_data_rejection])


def test_a_database_without_tables(tmp_path: Path) -> None:
    """Every route that reads it answers 503 as it says."""
    app = create_app(Settings(data_dir=tmp_path, poll_seconds=3600), FakeBackend())
    served = Served()
    served.app = app
    schema = described(DOCUMENT, served)
    with TestClient(app, base_url=URL):
        for found in schema.get_all_operations():
            operation = found.ok()
            body = {"/experiments": spec_document(), "/sweeps": sweep_document()}.get(operation.path)
            sends = operation.method == "post" and body is not None
            case = operation.Case(
                path_parameters={each.name: "x" for each in operation.path_parameters},
                query={"ids": "x"} if operation.path == "/comparisons" else {},
                **({"body": body, "media_type": "application/json"} if sends else {}),
            )
            response = case.call(base_url=URL)
            case.validate_response(response, excluded_checks=[negative_data_rejection])
            told = DOCUMENT["paths"][operation.path][operation.method]["responses"]
            # A name that is nothing packaged is not there, whatever the database is.
            expected = 503 if "503" in told else 404 if operation.path_parameters else 200
            assert response.status_code == expected, operation.label


@pytest.mark.parametrize("media", [None, "application/json"])
def test_an_answer_told_otherwise_is_found(media: str | None, known: dict[str, list[str]]) -> None:
    """A document that leaves a 404 out, or gives it another media type, does not pass."""
    document = copy.deepcopy(DOCUMENT)
    answers = document["paths"]["/experiments/{experiment_id}"]["get"]["responses"]
    truth = answers.pop("404")
    if media is not None:
        answers["404"] = {**truth, "content": {media: {"schema": {}}}}
    operation = described(document, SERVED).find_operation_by_label("GET /experiments/{experiment_id}")
    assert operation is not None
    case = operation.Case(path_parameters={"experiment_id": "nobody"})
    with pytest.raises(FailureGroup, match="Undocumented"):
        case.validate_response(case.call(base_url=URL))
    case.path_parameters["experiment_id"] = known["experiment_id"][0]
    case.validate_response(case.call(base_url=URL))
