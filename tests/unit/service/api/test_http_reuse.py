"""POST /experiments of what was run before: `duplicate_of`, and with ?reuse=true the earlier one itself."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from tests.data_factories import spec_document, write_folder
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import stored
from tests.unit.service.conftest import TestClient
from trainer.same.code import code_digest
from trainer.same.data import data_digest
from trainer.spec.spec import ExperimentSpec

VERSIONS = {"python": "3.11", "torch": "2.9"}


def post(client: TestClient, document: dict[str, Any] | None = None, status: int = 201, **params: Any) -> Any:
    answer = client.post("/experiments", json=document or spec_document(), params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def run(settings: Settings, identifier: str, to: State = State.COMPLETED, **changes: Any) -> None:
    """The experiment's job, from its plan to its end; `changes` are of the plan."""
    with closing(Store(settings.database)) as store:
        row = store.get(identifier)
        spec = ExperimentSpec.model_validate_json(row.spec)
        root = Path(getattr(spec.dataset, "root", None) or ".")
        plan = {"code": code_digest(), "versions": VERSIONS, "data_digest": data_digest(spec.dataset, root)}
        settings.layout.attempt(identifier, 1).plan.write(json.dumps(plan | changes))
        for state in (State.SUBMITTED, State.RUNNING, to):
            row = store.transition(row, to=state, reason="as it went", now=utc_now())


def test_the_first_is_the_same_as_none(client: TestClient) -> None:
    """Nor is one of another seed."""
    assert post(client)["duplicate_of"] is None
    assert post(client, spec_document(seed=1))["duplicate_of"] is None


def test_what_goes_on_already_is_named(client: TestClient) -> None:
    """201 as ever, with the id of the one that waits; with reuse 200, that one, and no row more."""
    first = post(client)["id"]
    assert post(client)["duplicate_of"] == first
    number = len(stored(client))
    answer = client.post("/experiments", json=spec_document(), params={"reuse": "true"})
    assert answer.status_code == 200
    assert answer.json()["id"] in {each["id"] for each in stored(client)}
    assert answer.headers["location"] == f"/experiments/{answer.json()['id']}"
    assert len(stored(client)) == number


def test_one_that_completed_goes_before_one_that_waits(client: TestClient, migrated: Settings) -> None:
    """Its numbers are there."""
    first = post(client)["id"]
    run(migrated, first)
    post(client)
    assert post(client, reuse=True, status=200)["id"] == first
    assert post(client)["duplicate_of"] == first


def test_without_one_reuse_stores(client: TestClient) -> None:
    """201, as without it."""
    assert post(client, reuse=True)["duplicate_of"] is None


@pytest.mark.parametrize("to", [State.FAILED, State.CANCELLED])
def test_what_came_to_nothing_is_not_reused(client: TestClient, migrated: Settings, to: State) -> None:
    """One that failed or was cancelled has no numbers to take."""
    run(migrated, post(client)["id"], to)
    assert post(client, reuse=True)["duplicate_of"] is None


def test_one_that_is_to_be_cancelled_is_not_reused(client: TestClient) -> None:
    """Its end is on its way."""
    client.post(f"/experiments/{post(client)['id']}/cancel")
    assert post(client, reuse=True)["duplicate_of"] is None


@pytest.mark.parametrize(
    "changes", [{"code": "older"}, {"data_digest": None}, {"versions": {"torch": "2.8"}}]
)
def test_other_code_or_data_is_another_run(
    client: TestClient, migrated: Settings, changes: dict[str, Any]
) -> None:
    """Another version of the package or of a library, or data of which nothing is known."""
    old = post(client)["id"]
    run(migrated, old, **changes)
    run(migrated, post(client, spec_document(seed=1))["id"])  # what attempts have now
    assert post(client, reuse=True)["duplicate_of"] is None


def test_one_that_other_code_had_begun_is_another_run(client: TestClient, migrated: Settings) -> None:
    """Its last attempt was of this code, and went on from what an older one had trained."""
    old = post(client)["id"]
    run(migrated, old)
    first, second = (migrated.layout.attempt(old, number).plan for number in (1, 2))
    second.write(first.read_text())
    assert post(client, reuse=True, status=200)["id"] == old
    first.write(json.dumps(json.loads(second.read_text()) | {"code": "older"}))
    assert post(client, reuse=True)["duplicate_of"] is None


@pytest.fixture
def folder_client(migrated: Settings, backend: FakeBackend, tmp_path: Path) -> Any:
    """A service that may read a data set, and the data set."""
    root = write_folder(tmp_path / "roots" / "street")
    settings = migrated.model_copy(update={"data_roots": (tmp_path / "roots",)})
    app: FastAPI = create_app(settings, backend)
    with TestClient(app, base_url="http://127.0.0.1") as opened:
        yield opened, settings, root


def test_a_changed_mask_is_other_data(folder_client: Any) -> None:
    """Until a file is written again, though with the same bytes."""
    client, settings, root = folder_client
    document = spec_document(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [16, 16]})
    first = post(client, document)["id"]
    run(settings, first)
    assert post(client, document, reuse=True, status=200)["id"] == first
    mask = next((root / "annotations" / "train").iterdir())
    mask.write_bytes(mask.read_bytes())
    assert post(client, document, reuse=True)["duplicate_of"] is None
