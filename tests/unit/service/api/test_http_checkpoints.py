"""Checkpoints over HTTP: the list, the files, and which may go."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from service.shared.settings import Settings
from service.shared.states import State
from service.store.records import StoreUnavailable
from tests.data_factories import spec_document
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import Cluster, TestClient, new_row

ALL = ("final", "best", "iter_500", "iter_1000")


@pytest.fixture
def ended(cluster: Cluster, migrated: Settings) -> str:
    """A completed experiment with one checkpoint of each kind, and two to resume from."""
    row = cluster.store.create(new_row("e1", state=State.COMPLETED), new_tags={})
    leave_checkpoints(migrated.layout, row.id, ALL)
    return row.id


def names(answer: Any, field: str = "items") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()[field]]


def prune(client: TestClient, experiment: str, **sent: Any) -> Any:
    return client.post(f"/experiments/{experiment}/checkpoints/prune", json=sent)


def content_of(settings: Settings, name: str) -> bytes:
    return settings.layout.checkpoints("e1").file(f"{name}.pth").read_bytes()


def test_the_list(client: TestClient, ended: str) -> None:
    """Those to deploy first, with what is known of each."""
    answer = client.get(f"/experiments/{ended}/checkpoints")
    assert names(answer) == ["final", "best", "iter_1000", "iter_500"]
    final, best, newest, _ = answer.json()["items"]
    assert (final["iteration"], final["best"], best["best"]) == (1000, False, True)
    assert best["score"] == {"name": "mIoU", "value": 50.0, "mode": "single_scale"}
    assert (newest["iteration"], newest["score"]) == (1000, None)
    assert best["download"] == f"/experiments/{ended}/checkpoints/best"
    check_problem(client.get("/experiments/nobody/checkpoints"), 404)


def test_an_experiment_without_any(client: TestClient) -> None:
    """An empty list, not an error."""
    identifier = client.post("/experiments", json=spec_document()).json()["id"]
    assert client.get(f"/experiments/{identifier}/checkpoints").json() == {"items": []}


@pytest.mark.parametrize(
    ("asked", "file"),
    [("final", "final"), ("last", "iter_1000"), ("iter_500", "iter_500"), ("500", "iter_500")],
)
def test_a_download(client: TestClient, migrated: Settings, ended: str, asked: str, file: str) -> None:
    """Whole, with its length and a name to keep it by."""
    answer = client.get(f"/experiments/{ended}/checkpoints/{asked}")
    assert answer.content == content_of(migrated, file)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"] == f'attachment; filename="e1-{file}.pth"'


@pytest.mark.parametrize("name", ["newest", "iter_7", "iter_", "..%2Fplan", "final.pth", "9" * 30])
def test_what_is_no_checkpoint(client: TestClient, ended: str, name: str) -> None:
    """404, with what there is."""
    answer = client.get(f"/experiments/{ended}/checkpoints/{name}")
    assert answer.status_code == 404
    if "%2F" not in name:  # that is another address
        assert "iter_1000" in check_problem(answer, 404)["detail"]


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-3", slice(0, 4)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=3-99999999", slice(3, None)),
        ("bytes=-99999999", slice(None)),
    ],
)
def test_a_range(client: TestClient, migrated: Settings, ended: str, asked: str, part: slice) -> None:
    """206 with the place it has in the whole."""
    whole = content_of(migrated, "final")
    answer = client.get(f"/experiments/{ended}/checkpoints/final", headers={"Range": asked})
    start, stop, _ = part.indices(len(whole))
    assert (answer.status_code, answer.content) == (206, whole[part])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["bytes=3-1", "lines=0-1", "bytes=0-1,4-5", "bytes=-", "0-3"])
def test_what_is_no_single_range_asks_for_all(client: TestClient, ended: str, asked: str) -> None:
    """As RFC 9110 has it: a range that is not understood is ignored."""
    answer = client.get(f"/experiments/{ended}/checkpoints/final", headers={"Range": asked})
    assert answer.status_code == 200
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0"])
def test_a_range_beyond_the_end(client: TestClient, migrated: Settings, ended: str, asked: str) -> None:
    """416 with the size there is."""
    answer = client.get(f"/experiments/{ended}/checkpoints/final", headers={"Range": asked})
    check_problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(content_of(migrated, 'final'))}"


def test_a_range_of_the_same_file_alone(client: TestClient, migrated: Settings, ended: str) -> None:
    """If-Range: whoever goes on with a download gets all of it where the file was replaced."""
    where = f"/experiments/{ended}/checkpoints/iter_500"
    tag = client.get(where).headers["etag"]
    part = {"Range": "bytes=2-", "If-Range": tag}
    assert client.get(where, headers=part).status_code == 206
    migrated.layout.checkpoints(ended).file("iter_500.pth").write(b"another")
    answer = client.get(where, headers=part)
    assert (answer.status_code, answer.content) == (200, b"another")


# ---------------------------------------------------------------- what may go


def test_keep(client: TestClient, ended: str) -> None:
    """All others go, and the final one stays though nobody named it."""
    answer = prune(client, ended, keep=["best"])
    assert names(answer, "removed") == ["iter_1000", "iter_500"]
    assert names(answer) == ["final", "best"] == names(client.get(f"/experiments/{ended}/checkpoints"))
    assert names(prune(client, ended, keep=["best", "last"]), "removed") == []


def test_what_cannot_be_put_on_record_stays(
    client: TestClient, app: FastAPI, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went away: it would be gone, and nobody would know who took it."""

    def lost(*_args: object, **_named: object) -> None:
        raise StoreUnavailable("connection lost")

    monkeypatch.setattr(app.state.store.audit, "note", lost)
    check_problem(prune(client, ended, keep=["best"]), 503)
    assert len(names(client.get(f"/experiments/{ended}/checkpoints"))) == 4


def test_remove(client: TestClient, ended: str) -> None:
    """These go, also the final one where it is named."""
    assert names(prune(client, ended, remove=[500]), "removed") == ["iter_500"]
    answer = prune(client, ended, remove=["final"])
    assert names(answer, "removed") == ["final"]
    assert names(answer) == ["best", "iter_1000"]


@pytest.mark.parametrize("sent", [{"keep": [7]}, {"remove": [500, 7]}, {"remove": ["iter_7"]}])
def test_a_name_that_is_not_there(client: TestClient, ended: str, sent: dict[str, Any]) -> None:
    """Misspelt, it would keep or lose a checkpoint without a word: nothing goes."""
    answer = prune(client, ended, **sent)
    check_problem(answer, 422 if sent == {"remove": ["iter_7"]} else 409)
    assert len(names(client.get(f"/experiments/{ended}/checkpoints"))) == 4


@pytest.mark.parametrize("sent", [{}, {"keep": [], "remove": []}, {"keep": "final"}, {"only": ["final"]}])
def test_a_request_that_cannot_be_meant(client: TestClient, ended: str, sent: dict[str, Any]) -> None:
    """One of the two, a list of names."""
    check_problem(prune(client, ended, **sent), 422)
    assert len(names(client.get(f"/experiments/{ended}/checkpoints"))) == 4


@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMITTED, State.RUNNING])
def test_not_while_it_goes_on(client: TestClient, cluster: Cluster, migrated: Settings, state: State) -> None:
    """409: it resumes from them."""
    cluster.store.create(new_row("e2", state=state), new_tags={})
    leave_checkpoints(migrated.layout, "e2", ALL)
    check_problem(prune(client, "e2", keep=["final"]), 409)
    assert len(names(client.get("/experiments/e2/checkpoints"))) == 4


def test_not_while_somebody_reads_them(client: TestClient, cluster: Cluster, ended: str) -> None:
    """409 that names the follow-up, until it has ended."""
    waiting = client.post(f"/experiments/{ended}/evaluations", json={"checkpoint": 500}).json()
    document = check_problem(prune(client, ended, keep=[]), 409)
    assert waiting["id"] in document["detail"]
    client.post(waiting["links"]["cancel"])
    cluster.step()
    assert names(prune(client, ended, keep=[]), "removed") == ["best", "iter_1000", "iter_500"]
