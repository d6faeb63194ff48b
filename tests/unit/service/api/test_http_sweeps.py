"""/sweeps over HTTP: what is stored, what is refused, what is shown, and what can be asked of a sweep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI

from service.api.routes.sweeps import EXAMPLE
from service.reconcile.cluster import JobStatus
from service.reconcile.reconciler import utc_now
from service.shared.settings import Settings
from sweeps.document.expand import expand
from sweeps.document.spec import parse_sweep
from tests.data_factories import make_report, spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import Cluster, TestClient, statements, until
from tests.unit.service.sweep_job import optuna_document, sweep_document
from trainer.results.compare import Comparison
from trainer.results.report import write_report


def post(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/sweeps", json=sweep_document(**changes))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert isinstance(body, dict)
    return body


def test_a_stored_sweep(client: TestClient) -> None:
    """201, Location, id and state, every default filled in, and its trials as ordinary experiments."""
    answer = client.post("/sweeps", json=EXAMPLE)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/sweeps/{body['id']}"
    assert body["id"].startswith("swp-")
    assert (body["state"], body["name"], body["counts"]["total"]) == ("queued", EXAMPLE["name"], 6)
    assert body["spec"]["scheduler"] == {"kind": "none"}
    trials = client.get(f"/experiments?sweep={body['id']}").json()["items"]
    assert len(trials) == 6
    assert {trial["sweep"]["row"] for trial in trials} == {"lambda=0", "lambda=0.1", "lambda=0.3"}
    assert {trial["links"]["sweep"] for trial in trials} == {f"/sweeps/{body['id']}"}
    assert sorted(trial["id"] for trial in trials) == [f"{body['id']}-{n:04d}" for n in range(6)]


def test_an_experiment_of_its_own_has_no_sweep(client: TestClient) -> None:
    """And it is in no sweep's list."""
    body = client.post("/experiments", json=spec_document()).json()
    assert body["sweep"] is None
    assert client.get("/experiments?sweep=swp-1").json()["items"] == []


def test_a_stored_sweep_is_submitted_at_once(client: TestClient, backend: FakeBackend) -> None:
    """POST wakes the reconciler."""
    backend.down = False
    identifier = post(client)["id"]
    until(lambda: f"{identifier}-1" in backend.jobs)


def test_validate_only_lists_trials_and_cost(client: TestClient, migrated: Settings) -> None:
    """200, nothing stored; the time is known once something like it was measured."""
    answer = client.post("/sweeps?validate_only=true", json=sweep_document())
    assert answer.status_code == 200
    body = answer.json()
    assert [(trial["row"], trial["seed"]) for trial in body["trials"]] == [
        ("lambda=0", 0),
        ("lambda=0.3", 0),
        ("lambda=0", 1),
        ("lambda=0.3", 1),
    ]
    assert body["trials"][1]["settings"] == {"/method/lambda": 0.3}
    assert (body["cost"]["trials"], body["cost"]["iterations"]) == (4, 4000)
    assert body["cost"]["train_seconds"] is None
    write_report(make_report("e1", seconds=50), migrated.layout.attempt("e1", 1).report)
    measured = client.post("/sweeps?validate_only=true", json=sweep_document()).json()["cost"]
    assert measured["train_seconds"] == pytest.approx(4 * 48)
    assert client.get("/sweeps").json()["items"] == []
    assert client.get("/experiments").json()["items"] == []


def test_validate_only_of_a_search(client: TestClient) -> None:
    """What optuna will draw is not known; how many, is."""
    body = client.post("/sweeps?validate_only=true", json=optuna_document()).json()
    assert body["trials"] == []
    assert body["notes"] == ["optuna draws its trials as it goes, so none are listed"]
    assert body["cost"]["trials"] == 3
    stored = client.post("/sweeps", json=optuna_document()).json()
    assert stored["counts"] == {**stored["counts"], "total": 3, "waiting": 3}
    notes = client.get(f"/sweeps/{stored['id']}/table").json()["notes"]
    assert notes[-1] == "no trial has a result"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "pointer to nothing": ({"axes": [{"pointer": "/method/lamda", "grid": [0]}]}, "/axes/0/pointer"),
    "empty axis": ({"axes": [{"pointer": "/method/lambda", "grid": []}]}, "/axes/0/grid"),
    "a value refused": ({"axes": [{"pointer": "/method/lambda", "grid": [0.1, -1]}]}, "/axes/0/grid/1"),
    "two axes over one field": (
        {"axes": [{"pointer": "/method/lambda", "grid": [0]}, {"pointer": "/method/lambda", "grid": [1]}]},
        "/axes/1/pointer",
    ),
    "a metric that is never reported": ({"metric": "fwIoU"}, "/metric"),
    "a base that is none": ({"base": spec_document(model="huge")}, "/base/model"),
    "unknown field": ({"sede": 1}, "/sede"),
    "data nowhere": ({"base": spec_document(dataset="camvid"), "axes": []}, "/base/dataset"),
    "too many": (
        {
            "axes": [
                {"pointer": "/method/lambda", "grid": [k / 100 for k in range(101)]},
                {"pointer": "/schedule/iterations", "grid": list(range(1, 101))},
            ]
        },
        "",
    ),
}


@pytest.mark.parametrize("query", ["", "?validate_only=true"])
@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_sweeps(client: TestClient, case: str, query: str) -> None:
    """422 with a pointer into what was sent; nothing stored, neither sweep nor trial."""
    changes, pointer = BAD[case]
    errors = check_problem(client.post(f"/sweeps{query}", json=sweep_document(**changes)), 422)["errors"]
    assert any(error["pointer"].startswith(pointer) for error in errors), errors
    assert all(error["got"] and error["allowed"] for error in errors)
    assert client.get("/sweeps").json()["items"] == client.get("/experiments").json()["items"] == []


def test_too_many_trials_are_refused_with_their_number(client: TestClient) -> None:
    """101 × 100 × 2."""
    problem = check_problem(client.post("/sweeps", json=sweep_document(**BAD["too many"][0])), 422)
    assert "20200 trials" in problem["detail"]


def test_idempotency(client: TestClient) -> None:
    """The same key and body give the same sweep, another body is refused, and trials are not doubled."""
    headers = {"Idempotency-Key": "k1"}
    first = client.post("/sweeps", json=sweep_document(), headers=headers).json()
    again = client.post("/sweeps", json=sweep_document(), headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert len(client.get("/experiments").json()["items"]) == 4
    check_problem(client.post("/sweeps", json=sweep_document(name="other"), headers=headers), 409)
    check_problem(client.post("/sweeps", json=sweep_document(), headers={"Idempotency-Key": "a b"}), 400)


UNSORTED = {"ours": {"kind": "region_rebalance"}, "dice": {"kind": "dice"}, "a": {"kind": "baseline"}}


def test_the_job_numbers_the_trials_as_they_are_stored(
    client: TestClient, backend: FakeBackend, settings: Settings
) -> None:
    """Variants keep the order in which they were given, down to the document that the job reads."""
    backend.down = False
    body = post(client, variants=UNSORTED, axes=[])
    until(lambda: f"{body['id']}-1" in backend.jobs)
    read = parse_sweep(json.loads(settings.layout.sweep(body["id"]).attempt(1).spec.read_text()))
    stored = client.get(f"/sweeps/{body['id']}").json()["trials"]
    assert [(trial.row, trial.spec.seed) for trial in expand(read)] == [
        (trial["row"], trial["seed"]) for trial in stored
    ]
    assert stored[0]["row"] == "ours"


def test_the_order_of_variants_belongs_to_the_request(client: TestClient) -> None:
    """The first one is the table's reference: in another order it is another sweep, unlike other keys."""
    headers = {"Idempotency-Key": "k2"}
    document = sweep_document(variants=UNSORTED, axes=[])
    first = client.post("/sweeps", json=document, headers=headers).json()
    again = client.post("/sweeps", json=dict(sorted(document.items())), headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    other = {**document, "variants": dict(sorted(UNSORTED.items()))}
    check_problem(client.post("/sweeps", json=other, headers=headers), 409)


def test_pages_of_sweeps(client: TestClient) -> None:
    """Newest first, a cursor to the next page, by state where asked; trials are omitted."""
    ids = [post(client, name=f"s{number}")["id"] for number in range(3)]
    page = client.get("/sweeps?limit=2").json()
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    assert page["items"][0]["trials"] is None
    rest = client.get(f"/sweeps?limit=2&cursor={page['next_cursor']}").json()
    assert [item["id"] for item in rest["items"]] == ids[:1]
    assert client.get("/sweeps?state=running").json()["items"] == []
    check_problem(client.get("/sweeps?cursor=x"), 400)
    check_problem(client.get("/sweeps?stat=running"), 422)


def test_progress_trials_and_the_best_so_far(client: TestClient, cluster: Cluster) -> None:
    """Counts, what runs, each trial with row, seed, state and value, and the best by the sweep's metric."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.complete(0, tp=40)
    job.complete(1, tp=60)
    job.begin(2, iteration=7)
    cluster.step()
    body = client.get(f"/sweeps/{identifier}").json()
    counts = {"total": 4, "waiting": 1, "running": 1, "completed": 2}
    assert body["counts"] == {"failed": 0, "cancelled": 0, "stopped": 0, **counts}
    assert body["state"] == "running"
    assert (body["best"]["number"], body["best"]["row"]) == (1, "lambda=0.3")
    assert [trial["number"] for trial in body["running"]] == [2]
    assert body["running"][0]["progress"]["iteration"] == 7
    first, *_, last = body["trials"]
    assert (first["experiment"], first["seed"], first["state"]) == (f"{identifier}-0000", 0, "completed")
    assert first["value"] == client.get(f"/experiments/{identifier}-0000").json()["headline"]["mIoU"]
    assert (last["seed"], last["state"], last["value"]) == (1, "queued", None)
    assert client.get(f"/sweeps/{identifier}?trials=0").json()["trials"] == []
    assert len(client.get(f"/sweeps/{identifier}?trials=2").json()["trials"]) == 2
    assert set(body["links"]) == {
        *("self", "events", "attempts", "table", "experiments", "cancel", "pause", "resume", "extend"),
        *("track", "mlflow"),
    }
    listed = client.get("/sweeps").json()["items"][0]
    assert listed["counts"] == body["counts"]


def test_the_best_of_a_minimum(client: TestClient, cluster: Cluster) -> None:
    """The direction decides."""
    identifier = post(client, direction="min", metric="aAcc")["id"]
    job = cluster.job(identifier)
    job.complete(0, tp=40)
    job.complete(1, tp=60)
    cluster.step()
    assert client.get(f"/sweeps/{identifier}").json()["best"]["number"] == 0


def test_events_are_the_sweeps_own(client: TestClient, cluster: Cluster) -> None:
    """Its trials have theirs."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.begin(0)
    cluster.step()
    items = client.get(f"/sweeps/{identifier}/events").json()["items"]
    assert [(item["from"], item["to"]) for item in items] == [
        (None, "queued"),
        ("queued", "submitted"),
        ("submitted", "running"),
    ]
    page = client.get(f"/sweeps/{identifier}/events?limit=1").json()
    assert len(page["items"]) == 1
    assert page["next_cursor"]


def test_the_parents_page_in_mlflow(app: FastAPI, client: TestClient, cluster: Cluster) -> None:
    """Where MLflow is a server."""
    app.state.settings = app.state.settings.model_copy(update={"mlflow_uri": "http://mlflow:5000"})
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.storage.sweep(identifier).mlflow.write('{"run_id": "p1", "experiment_id": "7"}')
    cluster.step()
    link = client.get(f"/sweeps/{identifier}").json()["links"]["mlflow"]
    assert link.startswith("http://mlflow:5000/#/experiments/7/runs/p1")


def finished(client: TestClient, cluster: Cluster, **changes: Any) -> str:
    """A sweep whose four trials have completed."""
    identifier = str(post(client, **changes)["id"])
    job = cluster.job(identifier)
    for number, tp in enumerate((40, 60, 44, 66)):
        job.complete(number, tp=tp)
    job.end()
    cluster.step()
    return identifier


def test_the_table_equals_the_comparison(client: TestClient, cluster: Cluster) -> None:
    """Each row's values are those that /comparisons shows for the same trials."""
    identifier = finished(client, cluster)
    table = client.get(f"/sweeps/{identifier}/table").json()
    ids = ",".join(f"{identifier}-{number:04d}" for number in range(4))
    compared = Comparison.model_validate(client.get(f"/comparisons?ids={ids}").json())
    by_trial = [row.mIoU for row in compared.rows]
    rows = {row["row"]: row for row in table["blocks"][0]["rows"]}
    assert rows["lambda=0"]["scores"]["mIoU"]["values"] == [by_trial[0], by_trial[2]]
    assert rows["lambda=0.3"]["scores"]["mIoU"]["values"] == [by_trial[1], by_trial[3]]
    assert None not in by_trial
    differences = [by_trial[1] - by_trial[0], by_trial[3] - by_trial[2]]  # type: ignore[operator]
    assert rows["lambda=0.3"]["delta"] == pytest.approx(sum(differences) / 2)
    assert rows["lambda=0.3"]["shared_seeds"] == 2


FORMS = {
    "markdown": ("text/markdown", "| lambda=0.3 |"),
    "csv": ("text/csv", "single_scale,lambda=0.3,0 1,"),
    "latex": ("application/x-tex", r"\toprule"),
    "json": ("application/json", '"reference"'),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_forms_of_the_table(client: TestClient, cluster: Cluster, form: str) -> None:
    """By Accept or by ?format, which goes first."""
    identifier = finished(client, cluster)
    media, text = FORMS[form]
    by_header = client.get(f"/sweeps/{identifier}/table", headers={"Accept": f"text/html, {media};q=0.5"})
    by_query = client.get(f"/sweeps/{identifier}/table?format={form}", headers={"Accept": "text/csv"})
    for answer in (by_header, by_query):
        assert answer.headers["content-type"].startswith(media)
        assert text in answer.text
    check_problem(client.get(f"/sweeps/{identifier}/table?format=pdf"), 422)


def test_the_table_of_a_preset(client: TestClient, cluster: Cluster) -> None:
    """The paper's numbers stand beside ours, and a note says that the setting is another."""
    variants = {"baseline": {"kind": "baseline"}, "region rebalance": {"kind": "region_rebalance"}}
    identifier = finished(client, cluster, variants=variants, axes=[], tags={"preset": "table1"})
    text = client.get(f"/sweeps/{identifier}/table?format=markdown").text
    assert "43.95" in text
    assert "another data set" in text


def test_the_table_while_it_runs(client: TestClient, cluster: Cluster) -> None:
    """What is there counts, what is missing is said."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.complete(0)
    job.stop_early(1)
    cluster.step()
    table = client.get(f"/sweeps/{identifier}/table").json()
    assert table["blocks"][0]["rows"][0]["seeds"] == [0]
    assert table["blocks"][0]["rows"][1]["stopped"] == 1
    assert any("without a result" in note for note in table["notes"])


def test_a_retried_trial_counts_in_the_table(client: TestClient, cluster: Cluster) -> None:
    """202, queued in the next attempt; its result is in the table like any other."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.fail(0)
    cluster.step()
    answer = client.post(f"/experiments/{job.id(0)}/retry")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["attempt"], body["error"]) == ("queued", 2, None)
    assert body["sweep"]["detached"]
    cluster.step()
    cluster.backend.run(f"{job.id(0)}-2")
    job.complete(0, 2)
    cluster.step()
    rows = client.get(f"/sweeps/{identifier}/table").json()["blocks"][0]["rows"]
    assert rows[0]["seeds"] == [0]
    assert client.get(f"/experiments/{job.id(0)}/report").json()["attempt"] == 2


def test_retry_of_an_experiment_of_its_own(client: TestClient, cluster: Cluster) -> None:
    """It works for any that failed or was cancelled, and for no other."""
    identifier = client.post("/experiments", json=spec_document()).json()["id"]
    check_problem(client.post(f"/experiments/{identifier}/retry"), 409)
    client.post(f"/experiments/{identifier}/cancel")
    cluster.step()
    assert client.get(f"/experiments/{identifier}").json()["state"] == "cancelled"
    body = client.post(f"/experiments/{identifier}/retry").json()
    assert (body["state"], body["attempt"], body["cancel_requested_at"]) == ("queued", 2, None)
    cluster.step()
    assert f"{identifier}-2" in cluster.backend.jobs
    check_problem(client.post("/experiments/nobody/retry"), 404)


def test_cancel_pause_and_resume(client: TestClient, cluster: Cluster) -> None:
    """202 each, the flag and the file follow; what has ended can be asked nothing: 409."""
    identifier = post(client)["id"]
    pause = cluster.settings.layout.sweep(identifier).pause.local
    assert client.post(f"/sweeps/{identifier}/pause").json()["paused"]
    assert pause.exists()
    answer = client.post(f"/sweeps/{identifier}/resume")
    assert (answer.status_code, answer.json()["paused"]) == (202, False)
    assert not pause.exists()
    body = client.post(f"/sweeps/{identifier}/cancel").json()
    assert body["cancel_requested_at"] is not None
    cluster.step()
    assert client.get(f"/sweeps/{identifier}").json()["state"] == "cancelled"
    for what in ("cancel", "pause", "resume"):
        check_problem(client.post(f"/sweeps/{identifier}/{what}"), 409)


def test_a_pause_made_by_hand_is_shown_and_ended(client: TestClient, cluster: Cluster) -> None:
    """The file is the truth that the job reads."""
    identifier = post(client)["id"]
    cluster.job(identifier).storage.sweep(identifier).pause.write("")
    assert client.get(f"/sweeps/{identifier}").json()["paused"]
    assert not client.post(f"/sweeps/{identifier}/resume").json()["paused"]


def test_a_failed_sweep_says_why(client: TestClient, cluster: Cluster) -> None:
    """The error's class and message."""
    identifier = post(client)["id"]
    cluster.job(identifier)
    cluster.backend.finish(f"{identifier}-1", JobStatus.STOPPED)
    cluster.step()
    cluster.reconciler.run_once(utc_now().replace(year=2100))
    body = client.get(f"/sweeps/{identifier}").json()
    assert (body["state"], body["error"]["type"]) == ("failed", "JobStopped")


@pytest.mark.parametrize("path", ["", "/events", "/table"])
def test_unknown_sweeps(client: TestClient, path: str) -> None:
    """404 that names the sweep."""
    assert "no sweep 'swp-9'" in check_problem(client.get(f"/sweeps/swp-9{path}"), 404)["detail"]


@pytest.mark.parametrize("what", ["cancel", "pause", "resume"])
def test_asking_of_unknown_sweeps(client: TestClient, what: str, migrated: Settings) -> None:
    """404, and no file is written for it."""
    check_problem(client.post(f"/sweeps/swp-9/{what}"), 404)
    assert not migrated.layout.sweep("swp-9").folder.exists()


def test_openapi_has_the_sweep_and_valid_examples(client: TestClient) -> None:
    """The body refers to SweepSpec, both answers are there, and each example can be posted."""
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/sweeps"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/SweepSpec"}
    assert {"200", "201"} <= set(operation["responses"])
    assert {"SweepSpec", "Axis", "SweepPublic", "SweepPreview", "Table"} <= set(
        document["components"]["schemas"]
    )
    for example in content["examples"].values():
        assert client.post("/sweeps", json=example["value"]).status_code == 201


@pytest.mark.slow
def test_10_000_trials(client: TestClient) -> None:
    """The largest sweep is stored whole, in few statements, and is listed by pages."""
    axes = [{"pointer": "/method/lambda", "grid": [round(k / 1000, 3) for k in range(1000)]}]
    with statements() as asked:
        body = post(client, axes=axes, seeds=list(range(10)))
    assert body["counts"]["total"] == 10_000
    assert len(asked) < 120, "thousands of rows a statement, and a pass of the reconciler beside it"
    page = client.get(f"/experiments?sweep={body['id']}&limit=200").json()
    assert len(page["items"]) == 200
    assert page["next_cursor"]


FEW = [{"pointer": "/method/lambda", "choice": [0, 0.1]}]


@pytest.mark.parametrize(("search", "listed"), [("random", 4), ("optuna", 0)])
def test_fewer_settings_than_draws_are_told(client: TestClient, search: str, listed: int) -> None:
    """The preview has a note where `limits/trials` asks for more than there is, and only there."""

    def notes(trials: int) -> list[str]:
        document = sweep_document(axes=FEW, search=search, limits={"trials": trials})
        body = client.post("/sweeps?validate_only=true", json=document).json()
        assert len(body["trials"]) == listed
        return [note for note in body["notes"] if note.startswith("/limits/trials: ")]

    assert notes(5) == ["/limits/trials: 2, not 5: the axes have no more settings, and each is run once"]
    assert notes(2) == []


def test_its_own_run_is_sent_again_only_once_there_is_one(client: TestClient) -> None:
    """409 where there is no MLflow, 404 of nobody's; the way there is among the links."""
    made = client.post("/sweeps", json=sweep_document()).json()
    check_problem(client.post(made["links"]["track"]), 409)
    check_problem(client.post("/sweeps/none/track"), 404)
    assert client.get(made["links"]["attempts"]).json()["items"] == []
