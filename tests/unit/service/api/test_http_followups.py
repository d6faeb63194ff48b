"""Evaluations, predictions and exports over HTTP: what is stored, refused, and answered."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.api.app import create_app
from service.shared.settings import Settings
from service.shared.states import State
from service.store.followups import FollowupStore
from service.store.records import Followup, StoreUnavailable
from tests.data_factories import CLASSES, png_bytes, spec_document, write_folder
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.conftest import Cluster, TestClient
from tests.unit.service.followup_job import failed_followup, followup_report, leave
from trainer.storage.layout import Storage

PLACES = {"evaluation": "evaluations", "prediction": "predictions", "export": "exports"}


def picture(width: int = 6, height: int = 4, mode: str = "RGB", form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, form)
    return stream.getvalue()


@pytest.fixture
def trained(client: TestClient, migrated: Settings) -> str:
    """An experiment with a final checkpoint."""
    identifier = str(client.post("/experiments", json=spec_document()).json()["id"])
    leave_checkpoints(migrated.layout, identifier)
    return identifier


def ask(client: TestClient, experiment: str, kind: str = "evaluation", /, **sent: Any) -> Any:
    """The answer to a POST that is right, or wrong in what `sent` says."""
    where = f"/experiments/{experiment}/{PLACES[kind]}"
    if kind == "prediction":
        content = sent.pop("content", picture())
        headers = {"Content-Type": "image/png"} | sent.pop("headers", {})
        return client.post(where, content=content, headers=headers, params=sent)
    return client.post(where, json={"formats": ["onnx"]} | sent if kind == "export" else sent)


def stored(client: TestClient, experiment: str, kind: str = "evaluation", /, **sent: Any) -> dict[str, Any]:
    answer = ask(client, experiment, kind, **sent)
    assert answer.status_code == (202 if kind == "prediction" else 201), answer.text
    body = answer.json()
    assert isinstance(body, dict)
    assert answer.headers["location"] == body["links"]["self"]
    return body


def complete(cluster: Cluster, identifier: str) -> Any:
    """What its job leaves, and the row after it."""
    row = cluster.store.followups.get(identifier)
    leave(cluster.settings.layout, followup_report(row))
    _submit_and_look(cluster, row.job_id)
    return cluster.store.followups.get(identifier)


def fail(cluster: Cluster, identifier: str) -> None:
    row = cluster.store.followups.get(identifier)
    leave(cluster.settings.layout, failed_followup(row))
    _submit_and_look(cluster, row.job_id)


def _submit_and_look(cluster: Cluster, job: str) -> None:
    for _ in range(4):
        cluster.step()
        for name in cluster.backend.jobs:  # the experiment's own job keeps no place
            if name != job:
                cluster.backend.finish(name)
    assert job in cluster.backend.jobs


# ---------------------------------------------------------------- all kinds


@pytest.mark.parametrize("kind", list(PLACES))
def test_from_post_to_list(client: TestClient, trained: str, kind: str) -> None:
    """Stored with its defaults; found at Location, in its list, by its id alone, and with its events."""
    body = stored(client, trained, kind)
    assert (body["kind"], body["experiment"], body["state"]) == (kind, trained, "queued")
    assert body["request"]["checkpoint"] == "final"
    assert "kind" not in body["request"]
    place = f"/experiments/{trained}/{PLACES[kind]}"
    page = client.get(place).json()
    assert (len(page["items"]), page["next_cursor"]) == (1, None)
    alone = client.get(body["links"]["self"], headers={"Accept": "application/json"}).json()
    for found in (page["items"][0], alone, client.get(f"/followups/{body['id']}").json()):
        assert {**found, "waiting": None} == {**body, "waiting": None}  # why it waits may be known by now
    assert [each["reason"] for each in client.get(body["links"]["events"]).json()["items"]] == ["stored"]
    others = [each for name, each in PLACES.items() if name != kind]
    for other in others:
        assert client.get(f"/experiments/{trained}/{other}").json()["items"] == []
        check_problem(client.get(f"/experiments/{trained}/{other}/{body['id']}"), 404)


@pytest.mark.parametrize("kind", list(PLACES))
def test_unknown_experiment_and_no_checkpoint(client: TestClient, trained: str, kind: str) -> None:
    """404 for nobody's; 409 that names the checkpoints there are; nothing is stored."""
    check_problem(ask(client, "nobody", kind), 404)
    document = check_problem(ask(client, trained, kind, checkpoint=500), 409)
    assert "500" in document["detail"]
    assert "there are: final" in document["detail"]
    assert client.get(f"/experiments/{trained}/{PLACES[kind]}").json()["items"] == []


@pytest.mark.parametrize("kind", list(PLACES))
def test_a_key_stores_once(client: TestClient, migrated: Settings, trained: str, kind: str) -> None:
    """The same again is the same follow-up, with one picture; another request under the key is refused."""
    place = f"/experiments/{trained}/{PLACES[kind]}"

    def send(**query: str) -> Any:
        body = {"content": picture()} if kind == "prediction" else {"json": {"formats": ["onnx"]}}
        if kind == "evaluation":
            body = {"json": {}}
        media = {"Content-Type": "image/png"} if kind == "prediction" else {}
        return client.post(place, headers={"Idempotency-Key": "k", **media}, params=query, **body)

    first, second = send(), send()
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == second.headers["location"]
    folders = migrated.layout.followups(trained).names()
    assert folders == ([first.json()["id"]] if kind == "prediction" else [])
    other = ask(client, trained, kind, headers={"Idempotency-Key": "k"}, mode="multi_scale")
    if kind == "prediction":
        check_problem(other, 409)


@pytest.mark.parametrize("kind", list(PLACES))
def test_cancel_and_retry(client: TestClient, cluster: Cluster, trained: str, kind: str) -> None:
    """Cancel is taken while it lives, retry once it has failed; each says so where it cannot."""
    body = stored(client, trained, kind)
    check_problem(client.post(body["links"]["retry"]), 409)
    fail(cluster, body["id"])
    failed = client.get(f"/followups/{body['id']}").json()
    assert (failed["state"], failed["error"]["type"]) == ("failed", "CheckpointError")
    check_problem(client.post(body["links"]["cancel"]), 409)
    again = client.post(body["links"]["retry"])
    assert (again.status_code, again.json()["state"], again.json()["attempt"]) == (202, "queued", 2)
    asked = client.post(body["links"]["cancel"])
    assert asked.status_code == 202
    assert asked.json()["cancel_requested_at"] is not None
    for what in ("cancel", "retry"):
        check_problem(client.post(f"/followups/eval-0000000000/{what}"), 404)


def test_logs_and_report(client: TestClient, cluster: Cluster, trained: str) -> None:
    """Of one attempt or all in a row; 404 before there is a report."""
    body = stored(client, trained)
    check_problem(client.get(body["links"]["report"]), 404)
    complete(cluster, body["id"])
    here = cluster.settings.layout.followup(trained, body["id"])
    here.attempt(1).log.write("scored\n")
    log = client.get(body["links"]["logs"], params={"offset": 2})
    assert (log.text, log.headers["x-next-offset"]) == ("ored\n", "7")
    check_problem(client.get(body["links"]["logs"], params={"attempt": 2}), 422)
    report = client.get(body["links"]["report"]).json()
    assert list(report["result"]["evaluation"]) == ["single_scale", "multi_scale"]


def test_pages_and_states(client: TestClient, cluster: Cluster, trained: str) -> None:
    """Newest first, one page after the other; a state narrows."""
    found = [stored(client, trained)["id"] for _ in range(3)]
    place = f"/experiments/{trained}/evaluations"
    first = client.get(place, params={"limit": 2}).json()
    rest = client.get(place, params={"cursor": first["next_cursor"]}).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == found[::-1]
    complete(cluster, found[0])
    only = client.get(place, params={"state": "completed"}).json()["items"]
    assert [each["id"] for each in only] == [found[0]]
    check_problem(client.get(place, params={"cursor": "x"}), 400)
    check_problem(client.get(place, params={"states": "completed"}), 422)


# ---------------------------------------------------------------- evaluations


def test_scores_by_mode(client: TestClient, cluster: Cluster, trained: str) -> None:
    """A completed evaluation shows its headline of every mode, in the order asked for."""
    body = stored(client, trained, modes=["single_scale", "multi_scale"])
    complete(cluster, body["id"])
    shown = client.get(body["links"]["self"]).json()
    assert shown["state"] == "completed"
    assert list(shown["scores"]) == ["single_scale", "multi_scale"]
    assert shown["scores"]["multi_scale"]["mIoU"] > shown["scores"]["single_scale"]["mIoU"]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"modes": ["twice"]}, "/modes/0"),
        ({"modes": []}, "/modes"),
        ({"checkpoint": 0}, "/checkpoint"),
        ({"checkpoint": "newest"}, "/checkpoint"),
        ({"kind": "export"}, "/kind"),
        ({"mode": "single_scale"}, "/mode"),
        ({"class_map": {"a": "b"}}, "/class_map"),
        ({"dataset": "camvid"}, "/dataset/root"),
        ({"dataset": {"name": "folder", "root": "/etc"}}, "/dataset/root"),
        ({"disagreement": {"against": "nobody"}}, "/disagreement/against"),
        ({"disagreement": {"against": "nobody", "pictures": 0}}, "/disagreement/pictures"),
    ],
)
def test_an_evaluation_that_cannot_be_meant(
    client: TestClient, trained: str, sent: dict[str, Any], pointer: str
) -> None:
    """422 with the field, and nothing is stored."""
    document = check_problem(ask(client, trained, **sent), 422)
    assert pointer in [each["pointer"] for each in document["errors"]]
    assert client.get(f"/experiments/{trained}/evaluations").json()["items"] == []


@pytest.mark.parametrize(("body", "status"), [(b"[]", 422), (b"{", 400), (b"3", 422)])
def test_a_body_that_is_no_request(client: TestClient, trained: str, body: bytes, status: int) -> None:
    """As of experiments: malformed JSON is 400, what is no object 422, what is not declared as JSON 415."""
    for place in ("evaluations", "exports"):
        where = f"/experiments/{trained}/{place}"
        check_problem(client.post(where, content=body, headers={"Content-Type": "application/json"}), status)
        check_problem(client.post(where, content=b"{}", headers={"Content-Type": "text/plain"}), 415)


@pytest.fixture
def with_data(migrated: Settings, tmp_path: Path) -> Settings:
    return migrated.model_copy(update={"data_roots": (tmp_path / "roots",)})


def other_data(client: TestClient, settings: Settings, experiment: str, **sent: Any) -> Any:
    root = settings.data_roots[0] / "streets"
    return ask(client, experiment, dataset={"name": "folder", "root": str(root)}, **sent)


def test_another_data_set(with_data: Settings, backend: FakeBackend) -> None:
    """Taken where it has the classes, or a map that names each; only what is scored must be there."""
    root = with_data.data_roots[0] / "streets"
    write_folder(root, {"val": [np.arange(64).reshape(8, 8) % 3]})
    with TestClient(create_app(with_data, backend), base_url="http://127.0.0.1") as client:
        experiment = client.post("/experiments", json=spec_document()).json()["id"]
        leave_checkpoints(with_data.layout, experiment, classes=CLASSES)
        asked = other_data(client, with_data, experiment)
        assert asked.status_code == 201, asked.text
        assert asked.json()["request"]["dataset"]["root"] == str(root.resolve())
        leave_checkpoints(with_data.layout, experiment, classes=("street", "plant"))
        refused = check_problem(other_data(client, with_data, experiment), 422)
        assert "/dataset" in [each["pointer"] for each in refused["errors"]]
        whole: dict[str, str | None] = {"road": "street", "tree": "plant", "car": None}
        assert other_data(client, with_data, experiment, class_map=whole).status_code == 201
        for wrong, pointer in (
            ({"road": "street", "tree": "plant"}, "/class_map"),
            (whole | {"car": "vehicle"}, "/class_map/car"),
            (whole | {"bus": None}, "/class_map/bus"),
        ):
            refused = check_problem(other_data(client, with_data, experiment, class_map=wrong), 422)
            assert pointer in [each["pointer"] for each in refused["errors"]]


def test_two_experiments_side_by_side(client: TestClient, migrated: Settings, trained: str) -> None:
    """The other must have a final checkpoint, and be another."""
    other = client.post("/experiments", json=spec_document()).json()["id"]
    document = check_problem(ask(client, trained, disagreement={"against": other}), 409)
    assert other in document["detail"]
    check_problem(ask(client, trained, disagreement={"against": trained}), 422)
    leave_checkpoints(migrated.layout, other)
    assert (
        stored(client, trained, disagreement={"against": other})["request"]["disagreement"]["pictures"] == 8
    )


def test_models_that_do_not_take_the_mode(client: TestClient, migrated: Settings, trained: str) -> None:
    """Of the experiment's model or the other's, in whose first mode both are compared: 422 at once."""
    name = "beit/beit-base_upernet_8xb2-160k_ade20k-640x640"
    beit = spec_document(
        model={"mmseg": name}, weights="none", schedule={"crop_size": [64, 64], "batch_size": 2}
    )
    answer = client.post("/experiments", json=beit)
    assert answer.status_code == 201, answer.text
    other = answer.json()["id"]
    leave_checkpoints(migrated.layout, other)
    whole = {"name": "whole", "inference": "whole"}
    beside = {"disagreement": {"against": other}}
    for experiment, sent, pointer in (
        (other, {"modes": ["single_scale", whole]}, "/modes/1/inference"),
        (trained, {"modes": [whole], **beside}, "/modes/0/inference"),
    ):
        document = check_problem(ask(client, experiment, **sent), 422)
        [problem] = document["errors"]
        assert (problem["pointer"], problem["allowed"]) == (
            pointer,
            "nothing, or a window of /schedule/crop_size",
        )
    assert stored(client, trained, modes=["single_scale", whole], **beside)


def test_an_experiment_of_other_classes_is_no_other(
    client: TestClient, migrated: Settings, trained: str
) -> None:
    """What two models mean by an id must be the same; which classes differ is said at once."""
    other = client.post("/experiments", json=spec_document()).json()["id"]
    leave_checkpoints(migrated.layout, other, classes=("road", "tree", "bus"))
    document = check_problem(ask(client, trained, disagreement={"against": other}), 422)
    [problem] = document["errors"]
    assert problem["pointer"] == "/disagreement/against"
    assert problem["got"].endswith("lacks car and has bus")


def test_pictures_that_were_kept(client: TestClient, migrated: Settings, trained: str) -> None:
    """Listed by name and answered as what they are; no name leads elsewhere."""
    body = stored(client, trained)
    folder = migrated.layout.followup(trained, body["id"]).pictures
    assert client.get(body["links"]["pictures"]).json() == {"items": []}
    folder.file("p0_compare.png").write(picture())
    folder.file("pictures.json").write("{}")
    migrated.layout.followup(trained, body["id"]).labels.write(b"not a picture of these")
    names = client.get(body["links"]["pictures"]).json()["items"]
    assert names == ["p0_compare.png", "pictures.json"]
    found = client.get(f"{body['links']['pictures']}/p0_compare.png")
    assert (found.content, found.headers["content-type"]) == (picture(), "image/png")
    for name in ("p1.png", "..%2Flabels.png", "%2e%2e%2flabels.png"):
        assert client.get(f"{body['links']['pictures']}/{name}").status_code == 404


# ---------------------------------------------------------------- predictions


def test_a_picture_in_and_its_labels_out(
    client: TestClient, cluster: Cluster, migrated: Settings, trained: str
) -> None:
    """202 with Location; 202 there while it waits; then the PNG in each view, or the document."""
    body = stored(client, trained, "prediction", mode="multi_scale")
    here = migrated.layout.followup(trained, body["id"])
    assert here.picture.read_bytes() == picture()
    assert body["request"] == {"mode": "multi_scale", "checkpoint": "final"}
    place = body["links"]["self"]
    waiting = client.get(place)
    assert (waiting.status_code, waiting.json(), waiting.headers["retry-after"]) == (202, body, "2")
    views = {"labels": here.labels, "overlay": here.overlay, "legend": here.legend}
    for name, file in views.items():
        file.write(name)
    complete(cluster, body["id"])
    assert client.get(place).content == b"labels"
    for name in views:
        found = client.get(place, params={"view": name})
        assert (found.status_code, found.headers["content-type"], found.text) == (200, "image/png", name)
    document = client.get(place, headers={"Accept": "application/json"})
    assert (document.status_code, document.json()["state"]) == (200, "completed")
    check_problem(client.get(place, params={"view": "heat"}), 422)
    check_problem(client.get(place, headers={"Accept": "text/csv"}), 406)


def test_a_prediction_that_failed(client: TestClient, cluster: Cluster, trained: str) -> None:
    """409 with the error; the document is still there."""
    body = stored(client, trained, "prediction")
    fail(cluster, body["id"])
    document = check_problem(client.get(body["links"]["self"]), 409)
    assert "CheckpointError: final.pth is damaged" in document["detail"]
    shown = client.get(body["links"]["self"], headers={"Accept": "application/json"}).json()
    assert shown["state"] == "failed"


def test_a_picture_that_is_gone(client: TestClient, cluster: Cluster, trained: str) -> None:
    """Completed, and somebody has cleaned up: 404, not a server's mistake."""
    body = stored(client, trained, "prediction")
    complete(cluster, body["id"])
    check_problem(client.get(body["links"]["self"]), 404)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "1x1": (lambda: picture(1, 1), "too small (1×1)"),
    "empty": (lambda: b"", "that is empty"),
    "text": (lambda: b"hello", "cannot be opened as JPG or PNG"),
    "CMYK": (lambda: picture(mode="CMYK", form="JPEG"), "CMYK"),
    "alpha": (lambda: picture(mode="RGBA"), "RGB with alpha"),
    "16 bits": (lambda: png_bytes(4, 4, depth=16, colour=2), "16 bits"),
    "20,000 x 20,000": (lambda: _only_header(20_000, 20_000), "20000×20000"),
    "a long strip": (lambda: _only_header(16_385, 4), "16385×4"),
    "cut short": (lambda: picture()[:-20], "cut short"),
    "GIF": (lambda: picture(form="GIF", mode="P"), "GIF"),
}


def _only_header(width: int, height: int) -> bytes:
    """A PNG of any size, whose pixels nobody has to make."""
    small = png_bytes(4, 4, depth=8, colour=2)
    return small[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + small[24:]


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_picture(client: TestClient, migrated: Settings, trained: str, case: str) -> None:
    """422 with what was wrong and what is allowed; no row and no file stay."""
    make, told = BAD[case]
    document = check_problem(ask(client, trained, "prediction", content=make()), 422)
    assert told in document["detail"]
    assert document["errors"][0]["allowed"]
    assert client.get(f"/experiments/{trained}/predictions").json()["items"] == []
    assert not migrated.layout.followups(trained).exists()


def test_what_is_not_declared_as_a_picture(client: TestClient, trained: str) -> None:
    """415 with what is; parameters are not swallowed."""
    sent = ask(client, trained, "prediction", headers={"Content-Type": "application/json"})
    assert "image/png or image/jpeg" in check_problem(sent, 415)["detail"]
    check_problem(ask(client, trained, "prediction", modes="multi_scale"), 422)
    refused = check_problem(ask(client, trained, "prediction", checkpoint="newest"), 422)
    assert refused["errors"][0]["pointer"] == "/query/checkpoint"


def test_a_picture_of_too_many_bytes(migrated: Settings, backend: FakeBackend) -> None:
    """413 from the limit on, which the settings have."""
    small = migrated.model_copy(update={"max_picture_bytes": 2000})
    with TestClient(create_app(small, backend), base_url="http://127.0.0.1") as client:
        experiment = client.post("/experiments", json=spec_document()).json()["id"]
        leave_checkpoints(small.layout, experiment)
        document = check_problem(ask(client, experiment, "prediction", content=bytes(2000)), 413)
        assert "2,000" in document["detail"]
        jpeg = picture(form="JPEG")
        assert len(jpeg) < 2000
        sent = ask(client, experiment, "prediction", content=jpeg, headers={"Content-Type": "image/jpeg"})
        assert sent.status_code == 202


def test_a_picture_never_stays_without_its_row(
    client: TestClient, migrated: Settings, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away between the two leaves neither."""

    def away(self: FollowupStore, new: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(FollowupStore, "create", away)
    check_problem(ask(client, trained, "prediction"), 503)
    assert migrated.layout.followups(trained).names() == []


def test_a_row_never_stays_without_its_picture(
    client: TestClient, migrated: Settings, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stored, and the database lost before it said so: sent again, it is what was stored."""
    plain = FollowupStore.create

    def lost(self: FollowupStore, new: Followup) -> None:
        plain(self, new)
        raise StoreUnavailable("connection lost")

    headers = {"Idempotency-Key": "k1"}
    with monkeypatch.context() as broken:
        broken.setattr(FollowupStore, "create", lost)
        check_problem(ask(client, trained, "prediction", headers=headers), 503)
    again = ask(client, trained, "prediction", headers=headers).json()["id"]
    assert migrated.layout.followups(trained).names() == [again]
    assert migrated.layout.followup(trained, again).picture.read_bytes() == picture()


# ---------------------------------------------------------------- exports


def exported(client: TestClient, cluster: Cluster, storage: Storage, experiment: str) -> dict[str, Any]:
    """A completed export with two files."""
    body = stored(client, experiment, "export", formats=["safetensors", "mlflow"])
    folder = storage.followup(experiment, body["id"]).export
    folder.file("model.safetensors").write(b"01234")
    folder.file("mlflow/data/model.pt2").write(b"abc")
    storage.followup(experiment, body["id"]).picture.write(b"beside it")
    complete(cluster, body["id"])
    return body


def test_files_of_an_export(client: TestClient, cluster: Cluster, migrated: Settings, trained: str) -> None:
    """Listed with sizes and digests, downloaded whole or in part."""
    body = exported(client, cluster, migrated.layout, trained)
    place = body["links"]["files"]
    listed = client.get(place).json()
    assert listed["items"] == [
        {"path": "mlflow/data/model.pt2", "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
        {"path": "model.safetensors", "bytes": 5, "sha256": hashlib.sha256(b"01234").hexdigest()},
    ]
    assert client.get(f"{place}/mlflow/data/model.pt2").content == b"abc"
    part = client.get(f"{place}/model.safetensors", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"12")


@pytest.mark.parametrize(
    "path",
    [
        "no",
        "../picture",
        "..%2Fpicture",
        "mlflow",
        "mlflow/",
        "mlflow/%2e%2e/model.safetensors",
        "%2e%2e/picture",
    ],
)
def test_no_path_leads_out_of_the_export(
    client: TestClient, cluster: Cluster, migrated: Settings, trained: str, path: str
) -> None:
    """404 for a folder, for what is not there, and for every way around."""
    body = exported(client, cluster, migrated.layout, trained)
    assert client.get(f"{body['links']['files']}/{path}").status_code == 404


def test_an_export_that_has_not_ended(client: TestClient, migrated: Settings, trained: str) -> None:
    """What its job is still writing is not listed."""
    body = stored(client, trained, "export")
    migrated.layout.followup(trained, body["id"]).export.file("half").write("…")
    assert client.get(body["links"]["files"]).json() == {"items": [], "refused": {}}


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"formats": ["pickle"]}, "/formats/0"),
        ({"formats": []}, "/formats"),
        ({"formats": ["onnx", "onnx"]}, "/formats"),
        ({"format": "onnx"}, "/format"),
    ],
)
def test_an_export_that_cannot_be_meant(
    client: TestClient, trained: str, sent: dict[str, Any], pointer: str
) -> None:
    """422 with the field."""
    document = check_problem(ask(client, trained, "export", **sent), 422)
    assert pointer in [each["pointer"] for each in document["errors"]]


def test_requests_are_stored_as_the_job_reads_them(
    client: TestClient, cluster: Cluster, trained: str
) -> None:
    """With their kind, as the file of the attempt has it."""
    body = stored(client, trained, "export")
    row = cluster.store.followups.get(body["id"])
    assert json.loads(row.spec) == {"kind": "export", "formats": ["onnx"], "checkpoint": "final"}
    assert row.state is State.QUEUED
