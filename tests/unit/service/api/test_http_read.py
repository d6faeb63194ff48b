"""Every other route, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import command
from fastapi import FastAPI

from service.api.app import create_app
from service.migrations import alembic_config, migrate
from service.reconcile.cluster import JobStatus
from service.shared.settings import Settings, SettingsError
from tests.data_factories import make_report, spec_document
from tests.fakes import FakeBackend
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.conftest import TestClient, failed_report, until
from tests.unit.service.refused import no_changes
from tests.unit.service.sweep_job import sweep_document
from trainer.results.report import AttemptReport, write_report


def post(client: TestClient, **changes: Any) -> str:
    answer = client.post("/experiments", json=spec_document(**changes))
    assert answer.status_code == 201, answer.text
    identifier = answer.json()["id"]
    assert isinstance(identifier, str)
    return identifier


def leave(settings: Settings, report: AttemptReport) -> None:
    write_report(report, settings.layout.attempt(report.experiment, report.attempt).report)


def state(client: TestClient, identifier: str) -> str:
    return str(client.get(f"/experiments/{identifier}").json()["state"])


def wake(client: TestClient) -> None:
    client.app.state.reconciler.wake()  # type: ignore[attr-defined]


def test_the_document_as_it_was_sent(client: TestClient) -> None:
    """Letter by letter, of an experiment and of a sweep; a trial has none of its own, and says so."""
    for path, document in (("experiments", spec_document()), ("sweeps", sweep_document())):
        text = json.dumps(document, indent=3, ensure_ascii=False).replace("{", "{  ", 1)
        made = client.post(f"/{path}", content=text.encode(), headers={"Content-Type": "application/json"})
        answer = client.get(f"{made.headers['location']}/sent")
        assert (answer.status_code, answer.text) == (200, text)
        assert answer.headers["content-type"] == "application/json"
    trial = client.get(f"/experiments?sweep={made.json()['id']}").json()["items"][0]["id"]
    check_problem(client.get(f"/experiments/{trial}/sent"), 404)
    assert "made by the service" in client.get(f"/experiments/{trial}/sent").json()["detail"]


def test_an_experiment_from_post_to_comparison(
    client: TestClient, backend: FakeBackend, settings: Settings
) -> None:
    """Submitted, running, completed with headline; events, report and comparison answer."""
    backend.down = False
    first, second = post(client), post(client, method="dice")
    for identifier in (first, second):
        until(lambda job=f"{identifier}-1": job in backend.jobs)  # type: ignore[misc]
        backend.run(f"{identifier}-1")
        wake(client)
        until(lambda i=identifier: state(client, i) == "running")  # type: ignore[misc]
        leave(settings, make_report(identifier, method="baseline" if identifier == first else "dice"))
        wake(client)
        until(lambda i=identifier: state(client, i) == "completed")  # type: ignore[misc]
    body = client.get(f"/experiments/{first}").json()
    assert body["headline"]["mIoU"] > 0
    assert body["progress"]["iteration"] == body["progress"]["iterations"] == 1000
    assert body["started_at"] <= body["ended_at"]
    events = client.get(f"/experiments/{first}/events").json()
    assert [(e["from"], e["to"]) for e in events["items"]] == [
        (None, "queued"),
        ("queued", "submitted"),
        ("submitted", "running"),
        ("running", "completed"),
    ]
    assert events["next_cursor"] is None
    report = client.get(f"/experiments/{first}/report").json()
    assert report["experiment"] == first
    assert report["spec"]["method"] == {"kind": "baseline"}
    table = client.get("/comparisons", params={"ids": f"{second},{first}"}).json()
    assert [row["experiment"] for row in table["rows"]] == [second, first]
    named = {"ids": f"{second},{first}", "mode": "single_scale"}
    assert client.get("/comparisons", params=named).json() == table
    missing = client.get("/comparisons", params={**named, "mode": "multi_scale"})
    assert "not scored in mode multi_scale; it has single_scale" in check_problem(missing, 409)["detail"]
    check_problem(client.get("/comparisons", params={**named, "mode": "m" * 41}), 422)


def test_a_failed_run_over_http(client: TestClient, backend: FakeBackend, settings: Settings) -> None:
    """The exception's class and message stand in the experiment."""
    backend.down = False
    identifier = post(client)
    until(lambda: f"{identifier}-1" in backend.jobs)
    leave(settings, failed_report(identifier))
    backend.finish(f"{identifier}-1", JobStatus.FAILED)
    wake(client)
    until(lambda: state(client, identifier) == "failed")
    body = client.get(f"/experiments/{identifier}").json()
    assert body["error"] == {"type": "DataError", "message": "label 77 in 3 pictures"}
    check_problem(client.post(f"/experiments/{identifier}/cancel"), 409)
    check_problem(client.get("/comparisons", params={"ids": identifier}), 409)


def test_cancel(client: TestClient) -> None:
    """202 with the wish's time; the state follows; asking again is fine until it has ended."""
    identifier = post(client)
    answer = client.post(f"/experiments/{identifier}/cancel")
    assert answer.status_code == 202
    assert answer.json()["cancel_requested_at"] is not None
    until(lambda: state(client, identifier) == "cancelled")
    check_problem(client.post(f"/experiments/{identifier}/cancel"), 409)


def test_pages_and_filters(client: TestClient) -> None:
    """Cursor pages visit everything once; state, method, dataset and tag narrow the list."""
    ids = [post(client, seed=n, tags={"n": str(n)}) for n in range(5)]
    dice = post(client, method="dice")
    listed: list[str] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        page = client.get("/experiments", params=parameters).json()
        listed += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert listed == [dice, *reversed(ids)]

    def found(**filters: Any) -> list[str]:
        return [item["id"] for item in client.get("/experiments", params=filters).json()["items"]]

    assert found(method="dice") == [dice]
    assert found(tag="n:3") == [ids[3]]
    assert len(found(tag="n")) == 5
    assert found(tag=["n:3", "n:4"]) == []
    assert found(state="completed") == []
    assert len(found(state=["queued", "completed"], dataset="digit_scenes")) == 6
    assert found(dataset="camvid") == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("state=done", 422),
        ("limit=0", 422),
        ("limit=100000", 422),
        ("limit=x", 422),
        ("stat=failed", 422),
        ("tag=%20", 422),
        ("cursor=nonsense", 400),
        ("method=a%00", 422),
        ("dataset=%00", 422),
        ("tag=a:%00", 422),
        ("tag=" + "a" * 2000, 422),
    ],
)
def test_bad_queries(client: TestClient, query: str, status: int) -> None:
    """A filter that means nothing is refused, not ignored."""
    check_problem(client.get(f"/experiments?{query}"), status)


@pytest.mark.parametrize("tail", ["", "/events", "/logs", "/metrics", "/report"])
@pytest.mark.parametrize("identifier", ["nope", "..%2F..%2Fetc", "a" * 3000, "%00"])
def test_unknown_ids(client: TestClient, identifier: str, tail: str) -> None:
    """404 as a problem, whatever the id looks like."""
    answer = client.get(f"/experiments/{identifier}{tail}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_paths_and_methods(client: TestClient) -> None:
    """The framework's own errors are problems as well."""
    for answer, status in ((client.get("/nowhere"), 404), (client.delete("/experiments"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    for path, methods in (("/experiments", "GET, POST"), ("/experiments/x/cancel", "POST"), ("/docs", "GET")):
        answer = client.delete(path)
        assert answer.headers["allow"] == methods
        assert answer.json()["detail"].endswith(f"allowed: {methods}")


def test_what_is_allowed_is_said_in_few_words(client: TestClient) -> None:
    """The framework's words about a parameter fit behind `allowed`."""
    (refused,) = client.get("/experiments?limit=0").json()["errors"]
    assert refused == {
        "pointer": "/query/limit",
        "got": "'0' is refused",
        "allowed": "greater than or equal to 1",
    }
    (missing,) = client.get("/comparisons").json()["errors"]
    assert missing == {"pointer": "/query/ids", "got": "is missing", "allowed": "one value; see /docs"}


def test_logs_can_be_followed(client: TestClient, settings: Settings) -> None:
    """From any offset, with the next one in a header; an experiment without a log has an empty one."""
    identifier = post(client)
    url = f"/experiments/{identifier}/logs"
    empty = client.get(url)
    assert (empty.status_code, empty.text, empty.headers["x-next-offset"]) == (200, "", "0")
    path = settings.layout.attempt(identifier, 1).log.local
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("√ one\n")
    first = client.get(url)
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    assert first.text == "√ one\n"
    with path.open("a") as stream:
        stream.write("two\n")
    following = client.get(url, params={"offset": first.headers["x-next-offset"]})
    assert following.text == "two\n"
    assert client.get(url, params={"attempt": 1}).text == "√ one\ntwo\n"
    check_problem(client.get(url, params={"attempt": 2}), 422)
    check_problem(client.get(url, params={"offset": -1}), 422)


def test_metrics(client: TestClient, settings: Settings) -> None:
    """By kind, page by page; `next_after` goes on where the file grows."""
    identifier = post(client)
    path = settings.layout.attempt(identifier, 1).metrics.local
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"kind": "eval" if i % 3 == 0 else "train", "iteration": i} for i in range(1, 7)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    url = f"/experiments/{identifier}/metrics"
    whole = client.get(url).json()
    assert [item["iteration"] for item in whole["items"]] == [1, 2, 3, 4, 5, 6]
    assert (whole["next_cursor"], whole["next_after"]) == (None, 6)
    page = client.get(url, params={"kind": "train", "limit": 3}).json()
    assert [item["iteration"] for item in page["items"]] == [1, 2, 4]
    rest = client.get(url, params={"kind": "train", "after": page["next_cursor"]}).json()
    assert [item["iteration"] for item in rest["items"]] == [5]
    with path.open("a") as stream:
        stream.write('{"kind": "train", "iteration": 7}\n')
    later = client.get(url, params={"after": whole["next_after"]}).json()
    assert [item["iteration"] for item in later["items"]] == [7]
    check_problem(client.get(url, params={"kind": "other"}), 422)


def test_report_missing_or_broken(client: TestClient, settings: Settings) -> None:
    """404 while there is none, 409 for a file that is none."""
    identifier = post(client)
    url = f"/experiments/{identifier}/report"
    check_problem(client.get(url), 404)
    path = settings.layout.attempt(identifier, 1).report.local
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    check_problem(client.get(url), 409)


@pytest.mark.parametrize(("ids", "status"), [("", 422), ("a,,b", 422), ("a,a", 422), ("nope", 404)])
def test_bad_comparisons(client: TestClient, ids: str, status: int) -> None:
    """Empty, repeated and unknown ids are named."""
    check_problem(client.get("/comparisons", params={"ids": ids}), status)


def test_comparison_before_the_end(client: TestClient) -> None:
    """409 that says how the experiment stands; without ids 422."""
    identifier = post(client)
    answer = client.get("/comparisons", params={"ids": identifier})
    assert "queued" in check_problem(answer, 409)["detail"]
    check_problem(client.get("/comparisons"), 422)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/datasets", {"digit_scenes", "folder", "camvid", "ade20k", "cocostuff164k", "cocostuff10k"}),
        ("/models", {"small"}),
        ("/methods", {"baseline", "reweighting", "balanced_softmax", "region_rebalance", "dice"}),
    ],
)
def test_catalogues(client: TestClient, path: str, names: set[str]) -> None:
    """Every name with title, description and JSON schema, as a list like the others."""
    body = client.get(path).json()
    assert names <= {item["name"] for item in body["items"]}
    assert body["next_cursor"] is None
    for item in body["items"]:
        assert item["title"]
        assert item["description"]
        assert item["schema"]["type"] == "object"


def test_schema_speaks_of_lambda(client: TestClient) -> None:
    """The schema uses the paper's word, as the spec does."""
    methods = {item["name"]: item for item in client.get("/methods").json()["items"]}
    assert "lambda" in methods["region_rebalance"]["schema"]["properties"]


def test_health(client: TestClient, backend: FakeBackend) -> None:
    """Alive at once; ready also without a cluster, of which it says so: experiments wait for it."""
    assert client.get("/healthz").json()["status"] == "ok"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert [name for name, found in answer.json()["checks"].items() if found != "ok"] == ["backend"]
    assert client.post("/experiments", json=spec_document()).status_code == 201
    backend.down = False
    answer = client.get("/readyz")
    assert answer.json()["status"] == "ok"
    assert answer.json()["checks"] == dict.fromkeys(["database", "storage", "backend", "reconciler"], "ok")


def test_not_ready_without_storage(client: TestClient, backend: FakeBackend, settings: Settings) -> None:
    """Storage that is gone is named; it comes back without a restart."""
    backend.down = False
    root = settings.layout.root
    until(lambda: client.get("/readyz").json()["status"] == "ok")
    root.rename(root.with_name("away"))
    errors = check_problem(client.get("/readyz"), 503)["errors"]
    assert errors[0]["pointer"] == "/checks/storage"  # the reconciler may have met it, too
    root.with_name("away").rename(root)
    assert client.get("/readyz").status_code == 200


def test_an_empty_directory_is_not_the_storage(
    client: TestClient, backend: FakeBackend, settings: Settings
) -> None:
    """As where it was unmounted: what is posted is kept, and nothing is submitted into the empty place."""
    backend.down = False
    root = settings.layout.root
    until(lambda: client.get("/readyz").json()["status"] == "ok")
    root.rename(root.with_name("away"))
    root.mkdir()
    told = check_problem(client.get("/readyz"), 503)["errors"]
    assert (
        "what was stored there is gone" in {each["pointer"]: each["got"] for each in told}["/checks/storage"]
    )
    identifier = post(client)
    until(
        lambda: (
            "gone" in str(client.get("/readyz").json()["errors"])
            and "reconciler" in client.get("/readyz").text
        )
    )
    assert list(root.iterdir()) == []
    root.rmdir()
    root.with_name("away").rename(root)
    assert client.get("/readyz").status_code == 200
    post(client)
    until(lambda: state(client, identifier) == "submitted")


def test_a_database_that_takes_no_changes_is_named(client: TestClient, backend: FakeBackend) -> None:
    """Changes are 503 with its words, reading goes on; /readyz and the figures say so until it takes one."""
    backend.down = False
    up = 'rebalance_part_up{part="database"}'
    with no_changes() as switch:
        told = check_problem(client.post("/experiments", json=spec_document()), 503)["detail"]
        assert client.get("/experiments").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"]["database"] == f"takes no changes: {told}"
        assert f"{up} 0.0" in client.get("/metrics").text
        switch.refused = False
        assert client.post("/experiments", json=spec_document()).status_code == 201
    assert client.get("/readyz").json()["checks"]["database"] == "ok"


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8000", "127.0.0.1.attacker.example"])
def test_other_names_of_this_machine_are_refused(client: TestClient, host: str) -> None:
    """A page whose name leads to 127.0.0.1 (DNS rebinding) reads nothing; our own names do."""
    check_problem(client.get("/experiments", headers={"Host": host}), 421)
    for own in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/experiments", headers={"Host": own}).status_code == 200


def test_not_ready_without_tables(tmp_path: Path) -> None:
    """A database whose tables go while it is served: not ready, and requests answer 503, not 500."""
    settings = Settings(data_dir=tmp_path, poll_seconds=3600)
    migrate(settings)
    with TestClient(
        create_app(settings, FakeBackend()), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        command.downgrade(alembic_config(settings.database), "base")
        errors = check_problem(client.get("/readyz"), 503)["errors"]
        assert (
            "run `rebalance migrate`"
            in {error["pointer"]: error["got"] for error in errors}["/checks/database"]
        )
        check_problem(client.post("/experiments", json=spec_document()), 503)


def test_an_unexpected_error_is_a_problem_without_details(app: FastAPI, client: TestClient) -> None:
    """500 as problem+json; what went wrong is for the log."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    app.state.store = SimpleNamespace(get=broken)
    answer = client.get("/experiments/x")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_no_backend_and_no_address(tmp_path: Path) -> None:
    """The missing setting is named by its variable."""
    with pytest.raises(SettingsError, match="REBALANCE_RAY_ADDRESS"):
        create_app(Settings(data_dir=tmp_path))


def test_openapi_has_the_spec_and_realistic_examples(client: TestClient) -> None:
    """The request body refers to the spec's schema, all parts are there, and the examples are valid."""
    document = client.get("/openapi.json").json()
    content = document["paths"]["/experiments"]["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/ExperimentSpec"}
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(schemas)
    assert {"ExperimentSpec", "RegionRebalance", "ExperimentPublic", "ProblemDetail"} <= set(schemas)
    for example in content["examples"].values():
        assert client.post("/experiments", json=example["value"]).status_code == 201


def test_docs_need_no_network(client: TestClient) -> None:
    """The page loads nothing from elsewhere, and what it loads from here is there."""
    page = client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for name, beginning in (
        ("swagger-ui-bundle.js", "javascript"),
        ("swagger-ui.css", "css"),
        ("favicon.png", "png"),
    ):
        assert f'"docs/{name}"' in page  # relative to /docs, below any prefix
        answer = client.get(f"/docs/{name}")
        assert answer.status_code == 200
        assert beginning in answer.headers["content-type"]
        assert len(answer.content) > 1000
    assert client.get("/docs/../main.py").status_code == 404
    assert client.get("/docs/other.js").status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/sweeps", "state, owner, project, cursor, limit"),
        ("/sweeps/s/table", "format"),
        ("/experiments/e/logs", "offset, attempt"),
        ("/methods", "no parameters"),
    ],
)
def test_unknown_parameters(client: TestClient, path: str, allowed: str) -> None:
    """Refused wherever they come, with those that the route has."""
    (error,) = check_problem(client.get(f"{path}?nope=1"), 422)["errors"]
    assert error == {"pointer": "/query/nope", "got": "is no parameter here", "allowed": allowed}


def test_health_answers_whatever_is_asked(client: TestClient) -> None:
    """A load balancer's own parameters are no mistake of a user."""
    assert client.get("/healthz?probe=1").status_code == 200
