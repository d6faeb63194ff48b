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
from schemathesis.specs.openapi.checks import negative_data_rejection

from service.api.app import create_app
from service.shared.settings import Settings
from tests.contract.openapi_served import URL, Served, described, filled
from tests.data_factories import spec_document
from tests.fakes import FakeBackend
from tests.unit.service.conftest import TestClient
from tests.unit.service.sweep_job import sweep_document

EXAMPLES = 6  # for each operation, beside its boundary values; all of it takes about a minute
DOCUMENT = create_app(Settings(), FakeBackend()).openapi()
# What is sent where every route is to answer, by the end of its path; and names that are none of a database.
BODIES: dict[str, tuple[Any, str]] = {
    "experiments": (spec_document(), "application/json"),
    "sweeps": (sweep_document(), "application/json"),
    "evaluations": ({}, "application/json"),
    "exports": ({"formats": ["onnx"]}, "application/json"),
    "prune": ({"keep": []}, "application/json"),
    "extend": ({"iterations": 1, "rate": "rescaled"}, "application/json"),
    "gc": ({}, "application/json"),
    "predictions": (b"x", "image/png"),
}
NAMES = {"name": "final"}


SERVED = Served()
SCHEMA = described(DOCUMENT, SERVED)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """See `filled`; its database is SQLite."""
    with filled(Settings(data_dir=tmp_path_factory.mktemp("data"), poll_seconds=3600), SERVED) as found:
        yield found


# A stream of what goes on does not end: tests/unit/service/api/watching has those.
@SCHEMA.exclude(path_regex="/stream$").parametrize()
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


def test_a_database_that_is_away(tmp_path: Path) -> None:
    """Every route that reads it answers 503 as it says."""
    away = "postgresql://me@127.0.0.1:1/rebalance"
    app = create_app(Settings(data_dir=tmp_path, poll_seconds=3600, database_url=away), FakeBackend())
    served = Served()
    served.app = app
    schema = described(DOCUMENT, served)
    with TestClient(app, base_url=URL):
        for found in schema.get_all_operations():
            operation = found.ok()
            sends = operation.method == "post" and BODIES.get(operation.path.rpartition("/")[2])
            body, media = sends or ({}, "")
            case = operation.Case(
                path_parameters={each.name: NAMES.get(each.name, "x") for each in operation.path_parameters},
                query={"ids": "x"} if operation.path.startswith("/comparisons") else {},
                **({"body": body, "media_type": media} if sends else {}),
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
