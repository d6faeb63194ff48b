"""POST /experiments: what is stored, what is refused, and that a refusal stores nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from service.api.app import create_app
from service.api.routes.experiments import EXAMPLE
from service.migrations import migrate
from service.shared.settings import Settings
from tests.data_factories import spec_document, write_folder
from tests.fakes import FakeBackend
from tests.unit.service.conftest import TestClient, until
from trainer.base.data_roots import NamedRoot
from trainer.spec.recipes import Machines

JSON = {"Content-Type": "application/json"}


def stored(client: TestClient) -> list[dict[str, Any]]:
    items = client.get("/experiments").json()["items"]
    assert isinstance(items, list)
    return items


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    """The answer is a problem document of that status, which it returns."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert isinstance(document, dict)
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["type"].startswith("urn:region-rebalance:problem:")
    return document


def test_the_spec_of_the_readme(client: TestClient) -> None:
    """201, Location, the stored experiment with id, state and every default filled in."""
    answer = client.post("/experiments", json=EXAMPLE)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/experiments/{body['id']}"
    assert (body["state"], body["attempt"], body["name"]) == ("queued", 1, EXAMPLE["name"])
    assert body["spec"]["method"] == {
        "kind": "region_rebalance",
        "lambda": 0.3,
        "rebalance": "balanced_softmax",
        "scope": "image",
        "projection": None,
        "classifier": "linear",
        "label_smoothing": 0.0,
    }
    assert body["spec"]["schedule"]["optimizer"] == "sgd"
    assert body["created_at"].endswith("Z") or body["created_at"].endswith("+00:00")
    now = client.get(answer.headers["location"]).json()
    assert {**now, "waiting": None} == {**body, "waiting": None}  # why it waits is of now
    assert set(body) >= {"updated_at", "started_at", "ended_at", "cancel_requested_at", "error", "headline"}
    assert set(body) >= {"progress", "mlflow_run_id", "links"}


def test_names_instead_of_objects(client: TestClient) -> None:
    """A catalogue name is enough for data set, model and method."""
    answer = client.post("/experiments", json=spec_document())
    assert answer.status_code == 201
    assert answer.json()["spec"]["method"] == {"kind": "baseline"}


def test_a_stored_experiment_is_submitted_at_once(client: TestClient, backend: FakeBackend) -> None:
    """POST wakes the reconciler: no poll interval passes."""
    backend.down = False
    identifier = client.post("/experiments", json=spec_document()).json()["id"]
    until(lambda: f"{identifier}-1" in backend.jobs)


BAD_SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown data set": ({"dataset": "imagenet"}, "/dataset"),
    "unknown model": ({"model": "huge"}, "/model"),
    "unknown method": ({"method": "magic"}, "/method"),
    "unknown method kind": ({"method": {"kind": "magic"}}, "/method"),
    "unknown optimizer": ({"schedule": {"optimizer": "lion"}}, "/schedule/optimizer"),
    "unknown field": ({"sede": 1}, "/sede"),
    "unknown field inside": ({"method": {"kind": "baseline", "lambda": 1}}, "/method/lambda"),
    "text for a number": ({"seed": "0"}, "/seed"),
    "number for text": ({"name": 7}, "/name"),
    "true for a number": ({"seed": True}, "/seed"),
    "fraction for a count": ({"schedule": {"iterations": 1.5}}, "/schedule/iterations"),
    "null": ({"dataset": None}, "/dataset"),
    "list for an object": ({"resources": []}, "/resources"),
    "negative lambda": ({"method": {"kind": "region_rebalance", "lambda": -0.1}}, "/method/lambda"),
    "lambda too large for a float": (
        {"method": {"kind": "region_rebalance", "lambda": 10**400}},
        "/method/lambda",
    ),
    "zero iterations": ({"schedule": {"iterations": 0}}, "/schedule/iterations"),
    "crop above 2048": ({"schedule": {"crop_size": [4096, 64]}}, "/schedule/crop_size/0"),
    "crop above the pictures": ({"schedule": {"crop_size": [64, 65]}}, "/schedule/crop_size/1"),
    "crop of one number": ({"schedule": {"crop_size": [64]}}, "/schedule/crop_size"),
    "batch not divisible": (
        {"schedule": {"batch_size": 5}, "resources": {"workers": 2}},
        "/schedule/batch_size",
    ),
    "no such mode": ({"evaluation": {"modes": ["magic"]}}, "/evaluation/modes"),
    "data root missing": ({"dataset": {"name": "folder", "root": "/no/such/directory"}}, "/dataset/root"),
    "root without allowed roots": ({"dataset": {"name": "folder", "root": "/"}}, "/dataset/root"),
    "camvid nowhere": ({"dataset": "camvid"}, "/dataset"),
    "tag that is no text": ({"tags": {"a": 1}}, "/tags/a"),
    "name too long": ({"name": "x" * 201}, "/name"),
}


@pytest.mark.parametrize("case", sorted(BAD_SPECS))
def test_bad_specs(client: TestClient, case: str) -> None:
    """422 with a pointer to the field, what it got and what is allowed; nothing stored."""
    changes, pointer = BAD_SPECS[case]
    document = check_problem(client.post("/experiments", json=spec_document(**changes)), 422)
    assert any(error["pointer"].startswith(pointer) for error in document["errors"]), document["errors"]
    assert all(error["got"] and error["allowed"] for error in document["errors"])
    assert stored(client) == []


@pytest.mark.parametrize("missing", ["dataset", "model", "method"])
def test_missing_fields(client: TestClient, missing: str) -> None:
    """The three required fields are asked for by name."""
    document = {name: value for name, value in spec_document().items() if name != missing}
    errors = check_problem(client.post("/experiments", json=document), 422)["errors"]
    assert [error["pointer"] for error in errors] == [f"/{missing}"]
    assert stored(client) == []


def test_all_problems_come_at_once(client: TestClient) -> None:
    """Three mistakes, three pointers, one answer."""
    document = spec_document(seed=-1, method="magic", schedule={"iterations": 0})
    errors = check_problem(client.post("/experiments", json=document), 422)["errors"]
    assert {error["pointer"] for error in errors} >= {"/seed", "/schedule/iterations"}
    assert len(errors) == 3


MALFORMED = {
    "invalid JSON": b'{"dataset": ',
    "empty": b"",
    "NaN": b'{"dataset": "camvid", "model": "small", "method": {"kind": "region_rebalance", "lambda": NaN}}',
    "duplicate key": b'{"dataset": "digit_scenes", "model": "small", "method": "dice", "method": "baseline"}',
    "deep nesting": b'{"tags":' * 50_000,
    "not UTF-8": b'{"name": "\xff"}',
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "a zero byte": b'{"name": "a\\u0000"}',
    "a number of 5,000 digits": b'{"seed": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("case", sorted(MALFORMED))
def test_malformed_documents(client: TestClient, case: str) -> None:
    """400 that says what is wrong; nothing stored."""
    check_problem(client.post("/experiments", content=MALFORMED[case], headers=JSON), 400)
    assert stored(client) == []


@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"baseline"', b"1e999"])
def test_json_that_is_no_object(client: TestClient, body: bytes) -> None:
    """422: it is JSON, and no spec."""
    check_problem(client.post("/experiments", content=body, headers=JSON), 422)
    assert stored(client) == []


def test_invalid_json_names_the_position(client: TestClient) -> None:
    """Line and column of the mistake are in the answer."""
    answer = client.post("/experiments", content=b'{"seed": 1,\n "name" "x"}', headers=JSON)
    assert "line 2, column 9" in check_problem(answer, 400)["detail"]


@pytest.mark.parametrize("size", [1_000_000, 1 << 20, 5_000_000, 20_000_000])
def test_a_spec_of_a_megabyte(client: TestClient, size: int) -> None:
    """413, declared length or not; nothing stored."""
    body = json.dumps(spec_document(name="x")).encode().replace(b'"x"', b'"' + b"x" * size + b'"')
    assert len(body) >= size
    check_problem(client.post("/experiments", content=body, headers=JSON), 413)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    check_problem(client.post("/experiments", content=pieces(), headers=JSON), 413)
    assert stored(client) == []


def test_a_large_declared_length_is_refused_unread(app: FastAPI) -> None:
    """Of a body said to be far too large not one byte is read."""
    import asyncio

    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            raise AssertionError("the body was read")

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", b"99999999999"),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/experiments",
            "raw_path": b"/experiments",
            "query_string": b"",
            "headers": headers,
            "app": app,
        }
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 413


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_other_content_types(client: TestClient, kind: str) -> None:
    """415: what a web page elsewhere can make a browser send is not taken."""
    body = json.dumps(spec_document()).encode()
    check_problem(client.post("/experiments", content=body, headers={"Content-Type": kind}), 415)
    assert stored(client) == []


def test_json_by_its_other_names(client: TestClient) -> None:
    """A charset or a +json type is fine."""
    body = json.dumps(spec_document()).encode()
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.spec+json"):
        assert client.post("/experiments", content=body, headers={"Content-Type": kind}).status_code == 201


def test_a_duplicate_post_gives_the_same_answer(client: TestClient) -> None:
    """Same key, same body (blanks and order aside): same answer, one experiment. Why it waits is of now."""
    first = client.post("/experiments", json=spec_document(), headers={"Idempotency-Key": "k1"})
    turned = dict(reversed(spec_document().items()))
    again = client.post("/experiments", json=turned, headers={"Idempotency-Key": "k1"})
    assert again.status_code == 201
    assert {**again.json(), "waiting": None} == {**first.json(), "waiting": None}
    assert again.headers["location"] == first.headers["location"]
    assert len(stored(client)) == 1


def test_the_same_key_with_another_body(client: TestClient) -> None:
    """409, also when the other body is no valid spec; the first experiment stands."""
    first = client.post("/experiments", json=spec_document(), headers={"Idempotency-Key": "k1"}).json()
    for other in (spec_document(seed=1), {"seed": "x"}):
        document = check_problem(
            client.post("/experiments", json=other, headers={"Idempotency-Key": "k1"}), 409
        )
        assert first["id"] in document["detail"]
    assert [item["id"] for item in stored(client)] == [first["id"]]


def test_a_key_of_a_refused_request_is_free(client: TestClient) -> None:
    """A 422 stores no key: the corrected request takes it."""
    headers = {"Idempotency-Key": "k1"}
    assert client.post("/experiments", json=spec_document(seed=-1), headers=headers).status_code == 422
    assert client.post("/experiments", json=spec_document(), headers=headers).status_code == 201


def test_no_key_is_no_idempotency(client: TestClient) -> None:
    """Two posts without a key are two experiments."""
    for _ in range(2):
        client.post("/experiments", json=spec_document())
    assert len(stored(client)) == 2


BAD_KEYS = ["", " ", "a b", "x" * 256, "\u00e9".encode("latin-1")]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys_of_a_preview(client: TestClient, key: str | bytes) -> None:
    """A key is judged by its form also where nothing is stored under it."""
    headers = {b"Idempotency-Key": key}
    check_problem(client.post("/sweeps?validate_only=true", json={"base": EXAMPLE}, headers=headers), 400)


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(client: TestClient, key: str | bytes) -> None:
    """400 for a key that is empty, too long or not plain text."""
    answer = client.post("/experiments", json=spec_document(), headers={b"Idempotency-Key": key})
    check_problem(answer, 400)
    assert stored(client) == []


def test_racing_duplicates_store_one(client: TestClient) -> None:
    """Eight at once under one key: eight times 201 with one id."""

    def post(_: int) -> tuple[int, str]:
        answer = client.post("/experiments", json=spec_document(), headers={"Idempotency-Key": "k"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(8)))
    assert len(answers) == 1
    assert len(stored(client)) == 1


# ---------------------------------------------------------------- data roots


@pytest.fixture
def rooted(tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    """A service with one allowed root, and that root with a good data set in it."""
    root = tmp_path / "allowed"
    write_folder(root / "good")
    settings = Settings(data_dir=tmp_path / "data", data_roots=(root,), poll_seconds=3600)
    migrate(settings)
    backend = FakeBackend()
    backend.down = True
    with TestClient(
        create_app(settings, backend), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client, root


def folder_spec(root: Path | str) -> dict[str, Any]:
    schedule = {"crop_size": [32, 48]}
    return spec_document(dataset={"name": "folder", "root": str(root)}, schedule=schedule)


def test_a_folder_inside_the_allowed_root(rooted: tuple[TestClient, Path]) -> None:
    """It is stored with its real path."""
    client, root = rooted
    answer = client.post("/experiments", json=folder_spec(root / "good"))
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["dataset"]["root"] == str((root / "good").resolve())


def test_roots_that_lead_outside(rooted: tuple[TestClient, Path], tmp_path: Path) -> None:
    """Outside, by dots, through a symbolic link, or missing: 422 at /dataset/root, nothing stored."""
    client, root = rooted
    outside = write_folder(tmp_path / "outside")
    (root / "link").symlink_to(outside)
    for bad in (outside, root / ".." / "outside", root / "link", root / "missing", "relative", tmp_path):
        errors = check_problem(client.post("/experiments", json=folder_spec(bad)), 422)["errors"]
        assert [error["pointer"] for error in errors] == ["/dataset/root"], bad
    assert stored(client) == []


def test_a_root_by_name(tmp_path: Path) -> None:
    """It is stored as it was sent; a name that is none is refused with those that there are."""
    mine = NamedRoot("mine", write_folder(tmp_path / "pictures"))
    settings = Settings(data_dir=tmp_path / "data", data_roots=(mine,), poll_seconds=3600)
    migrate(settings)
    with TestClient(create_app(settings, FakeBackend()), base_url="http://127.0.0.1") as client:
        answer = client.post("/experiments", json=folder_spec("data:mine"))
        assert answer.status_code == 201, answer.text
        assert answer.json()["spec"]["dataset"]["root"] == "data:mine"
        for bad in ("data:other", "data:mine/../pictures"):
            errors = check_problem(client.post("/experiments", json=folder_spec(bad)), 422)["errors"]
            assert [error["pointer"] for error in errors] == ["/dataset/root"]
        assert check_problem(client.post("/experiments", json=folder_spec("data:other")), 422)["errors"] == [
            {
                "pointer": "/dataset/root",
                "got": "'data:other': no data root has that name",
                "allowed": "data:mine",
            }
        ]


def test_more_than_the_cluster_may_become(migrated: Settings) -> None:
    """422 with the field and the maximum, also where the cluster cannot be asked; what fits is stored."""
    settings = migrated.model_copy(update={"max_cluster": Machines(gpus=2, cpus=8)})
    with TestClient(create_app(settings, FakeBackend()), base_url="http://127.0.0.1") as client:
        fits = {"workers": 2, "gpus_per_worker": 1, "cpus_per_worker": 4}
        assert client.post("/experiments", json=spec_document(resources=fits)).status_code == 201
        more = spec_document(resources={**fits, "workers": 4})
        errors = check_problem(client.post("/experiments", json=more), 422)["errors"]
        pointers = ["/resources/gpus_per_worker", "/resources/cpus_per_worker"]
        assert [error["pointer"] for error in errors] == pointers
        assert "at most 2" in errors[0]["allowed"]
        base = spec_document(resources={"cpus_per_worker": 4})
        sweep = {"base": base, "axes": [{"pointer": "/resources/workers", "grid": [1, 4]}]}
        errors = check_problem(client.post("/sweeps", json=sweep), 422)["errors"]
        assert "4 worker(s) take 16 CPU" in errors[0]["got"]


def test_a_crop_above_pictures_of_one_size(rooted: tuple[TestClient, Path]) -> None:
    """All pictures are 32×48: a higher crop is refused with the limit."""
    client, root = rooted
    spec = folder_spec(root / "good") | {"schedule": {"crop_size": [33, 48]}}
    errors = check_problem(client.post("/experiments", json=spec), 422)["errors"]
    assert errors[0]["pointer"] == "/schedule/crop_size/0"
    assert "32" in errors[0]["allowed"]
    assert stored(client) == []


def test_a_mask_of_another_size(rooted: tuple[TestClient, Path]) -> None:
    """Pairs are looked at before anything is stored."""
    client, root = rooted
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "good" / "annotations" / "train" / "p0.png")
    errors = check_problem(client.post("/experiments", json=folder_spec(root / "good")), 422)["errors"]
    assert errors[0]["pointer"].startswith("/dataset")
    assert stored(client) == []


@pytest.mark.parametrize(
    ("path", "allowed"), [("/experiments", "validate_only, reuse"), ("/sweeps", "validate_only, reuse")]
)
def test_unknown_parameters_store_nothing(client: TestClient, path: str, allowed: str) -> None:
    """A misspelt one is refused by name, with those that there are, whatever the body is."""
    answer = client.post(f"{path}?validateonly=true&a~b=", json=spec_document())
    errors = check_problem(answer, 422)["errors"]
    assert [error["pointer"] for error in errors] == ["/query/validateonly", "/query/a~0b"]
    assert {error["allowed"] for error in errors} == {allowed}
    assert client.get(path).json()["items"] == []
