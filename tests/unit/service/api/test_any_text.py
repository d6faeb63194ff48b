"""The API can answer any text: names of files, lines of curves, messages of jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.api.app import create_app
from service.shared.settings import Settings
from tests.data_factories import spec_document, write_folder
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import TestClient, World

ODD = "a\udcdf\x1b[31m\u202e\u2028b"
SHOWN = "a\\udcdf\\u001b[31m\\u202e\\u2028b"


@pytest.mark.parametrize("sweep", [False, True])
def test_a_file_name_that_is_not_utf8(migrated: Settings, tmp_path: Path, sweep: bool) -> None:
    """422 that names the file with an escape; in a sweep at the base's field."""
    root = write_folder(tmp_path / "set")
    for directory in ("images", "annotations"):
        picture = root / directory / "train" / "p0.png"
        picture.rename(picture.with_name(os.fsdecode(b"stra\xdfe\x1b.png")))
    (root / "annotations" / "train" / os.fsdecode(b"stra\xdfe\x1b.png")).unlink()
    settings = migrated.model_copy(update={"data_roots": (tmp_path,)})
    document = spec_document(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [16, 16]})
    path, body = ("/sweeps", {"base": document}) if sweep else ("/experiments", document)
    with TestClient(create_app(settings, FakeBackend()), base_url="http://127.0.0.1") as client:
        problem = check_problem(client.post(path, json=body), 422)
    (error,) = problem["errors"]
    assert error["pointer"] == ("/base" if sweep else "") + "/dataset/train_split"
    assert "stra\\xdfe\\u001b.png" in error["got"]
    assert "stra\\xdfe\\u001b.png" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"\\ud800": 1}',
        b'{"a": "\\udcff"}',
        b'{"a": "\\u0000"}',
        b"[" * 100_000,
        b'{"a": ' * 40 + b"1" + b"}" * 40,
        b"\xff\xfe",
        b"9" * 5000,
    ],
)
@pytest.mark.parametrize("path", ["/experiments", "/sweeps"])
def test_bodies_that_no_database_takes(client: TestClient, path: str, body: bytes) -> None:
    """Refused as malformed, in words that can be sent."""
    headers = {"Content-Type": "application/json"}
    check_problem(client.post(path, content=body, headers=headers), 400)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dataset": {"name": "folder", "root": f"/{ODD[2:]}"}}, "/dataset/root"),
        ({"name": ODD[2:]}, "/name"),
        ({"method": ODD[2:]}, "/method"),
        ({ODD[2:]: 1}, f"/{SHOWN[7:]}"),
        ({"seed": 10**4000}, "/seed"),
        ({"schedule": {"learning_rate": 10**4000}}, "/schedule/learning_rate"),
    ],
)
def test_values_that_would_turn_a_line_around(
    client: TestClient, changes: dict[str, object], pointer: str
) -> None:
    """The pointer and the value come back with escapes."""
    problem = check_problem(client.post("/experiments", json=spec_document(**changes)), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert problem["detail"].isprintable()


def test_what_a_job_leaves_behind(world: World, client: TestClient) -> None:
    """Odd curves and logs are answered; those values that JSON has not are null or replaced."""
    world.add()
    here = world.settings.layout.attempt("e1", 1)
    here.path.mkdir(parents=True)
    line = b'{"kind": "train", "iteration": 1, "loss": NaN, "lr": 1e999, "x": "\\ud800", "n": 1' + b"0" * 99
    here.metrics.write(line + b"}\n" + b"[" * 100_000 + b"\n")
    here.log.write(b"\xff\x00\x1b[31m\n")
    (item,) = client.get("/experiments/e1/metrics").json()["items"]
    assert (item["loss"], item["lr"], item["x"], item["n"]) == (None, None, "?", 10**99)
    answer = client.get("/experiments/e1/logs")
    assert (answer.status_code, answer.content) == (200, b"\xff\x00\x1b[31m\n")
    here.report.write(b'{"state": "\\ud800\x1b"}')
    assert check_problem(client.get("/experiments/e1/report"), 409)["detail"].isprintable()


def test_what_a_cluster_says(world: World, client: TestClient) -> None:
    """A message with anything in it ends its experiment, and is answered."""
    world.add()
    world.backend.refuses = f"\0{ODD}"
    world.step()
    error = client.get("/experiments/e1").json()["error"]
    assert error["type"] == "SubmitRefused"
    assert "\\u0000a\\udcdf\x1b" in error["message"]
    reason = f"\0{ODD}"
    world.store.retry(world.store.get("e1"), attempt=2, reason=reason, now=world.now)
    assert "\\u0000a\\udcdf\x1b" in client.get("/experiments/e1/events").json()["items"][-1]["reason"]
