"""What the API says of MLflow: of one experiment's run, and of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.api.app import create_app
from service.api.routes.sweeps import EXAMPLE
from service.api.views.mlflow_facts import RunFacts
from service.api.views.tracking import tracking_of
from service.reconcile.cluster import RunFact
from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from tests.fakes import FakeBackend, FakeRuns
from tests.unit.service.conftest import TestClient, new_row
from trainer.storage.notices import Notice
from trainer.storage.tracking import TrackingRecord, write_record

BEHIND = TrackingRecord(state="behind", by="attempt 1", text="MLflow refused: 403. Missing there: curves")
OK = TrackingRecord(state="ok", by="attempt 1")
RUN = '{"run_id": "m1", "experiment_id": "7"}'


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def tracked(migrated: Settings, backend: FakeBackend, runs: FakeRuns) -> Iterator[TestClient]:
    """A service with an MLflow, and one completed experiment, e1."""
    settings = migrated.model_copy(update={"mlflow_uri": "http://mlflow:5000"})
    store = Store(settings.database)
    store.create(new_row("e1", state=State.COMPLETED, mlflow_run_id="m1"), new_tags={})
    store.close()
    settings.layout.attempt("e1", 1).path.mkdir(parents=True)
    settings.layout.mlflow_run("e1").write(RUN)
    with TestClient(create_app(settings, backend, runs), base_url="http://127.0.0.1") as opened:
        yield opened


@pytest.mark.parametrize(
    ("state", "record", "fact", "noted", "expected"),
    [
        (State.QUEUED, None, None, False, None),
        (State.CANCELLED, None, None, False, None),
        (State.RUNNING, None, RunFact.THERE, True, ("ok", "", None)),
        (State.COMPLETED, OK, RunFact.THERE, True, ("ok", "", None)),
        (State.COMPLETED, OK, None, True, ("ok", "", None)),
        (State.COMPLETED, OK, RunFact.DELETED, True, ("missing", "has deleted", "rebalance track e1")),
        (State.COMPLETED, OK, RunFact.GONE, True, ("missing", "has no run", "rebalance track e1")),
        (State.COMPLETED, None, None, False, ("missing", "was sent nothing", "rebalance track e1")),
        (State.COMPLETED, BEHIND, RunFact.THERE, True, ("behind", "403", "rebalance track e1")),
        (State.FAILED, BEHIND, None, False, ("behind", "403", "rebalance track e1")),
        (State.RUNNING, BEHIND, None, True, ("behind", "403", "its job sends what is missing")),
    ],
)
def test_what_mlflow_has(
    state: State,
    record: TrackingRecord | None,
    fact: RunFact | None,
    noted: bool,
    expected: tuple[str, str, str | None] | None,
) -> None:
    """From what is known to what is said, and what would mend it. Silence is no news."""
    found = tracking_of(new_row("e1", state=state), record, fact, noted=noted, sending=False)
    if found is None or expected is None:
        assert found is expected
        return
    assert found.state == expected[0]
    assert expected[1] in found.detail
    assert (found.hint or "").startswith(expected[2] or "")


def test_a_run_is_linked_only_while_it_is_there(tracked: TestClient, runs: FakeRuns) -> None:
    """Deleted in MLflow's interface: no link, and the experiment says so."""
    runs.facts["m1"] = RunFact.DELETED
    shown = tracked.get("/experiments/e1").json()
    assert shown["links"]["mlflow"] is None
    assert shown["tracking"]["state"] == "missing"
    (listed,) = tracked.get("/experiments").json()["items"]
    assert (listed["tracking"], listed["links"]) == (shown["tracking"], shown["links"])
    assert runs.looks == 1


def test_changes_of_a_sweep_link_no_deleted_run(
    tracked: TestClient, runs: FakeRuns, migrated: Settings
) -> None:
    """Its answers to pause, resume and cancel, or to the same request again, are as GET shows it."""
    key = {"Idempotency-Key": "k"}
    made = tracked.post("/sweeps", json=EXAMPLE, headers=key).json()["id"]
    migrated.layout.sweep(made).mlflow.write(RUN)
    store = Store(migrated.database)
    row = store.sweeps.get(made)
    store.sweeps.observe(row, job_status="running", mlflow_run_id="m1", now=row.created_at)
    store.close()
    runs.facts["m1"] = RunFact.DELETED
    answers = [tracked.post(f"/sweeps/{made}/{change}") for change in ("pause", "resume", "cancel")]
    for answer in [*answers, tracked.post("/sweeps", json=EXAMPLE, headers=key)]:
        assert answer.json()["links"]["mlflow"] is None


def test_one_that_is_there_is_linked(tracked: TestClient, runs: FakeRuns) -> None:
    """Also while MLflow does not answer: as far as is known, it is there."""
    runs.down = True
    shown = tracked.get("/experiments/e1").json()
    assert shown["links"]["mlflow"].endswith("/#/experiments/7/runs/m1?workflowType=machine_learning")
    assert shown["tracking"] == {"state": "ok", "detail": "", "sending": False, "hint": None}


def test_everything_sent_again(tracked: TestClient, migrated: Settings) -> None:
    """202, and a job is to send it; 409 where there is no MLflow, 404 for what nobody knows."""
    write_record(migrated.layout.tracked("e1").record, BEHIND)
    assert tracked.get("/experiments/e1").json()["tracking"]["hint"] == "rebalance track e1"
    for _ in range(2):
        answer = tracked.post("/experiments/e1/track")
        assert answer.status_code == 202
        assert answer.json()["tracking"] == {
            "state": "behind",
            "detail": BEHIND.text,
            "sending": True,
            "hint": None,
        }
    assert migrated.layout.tracked("e1").requests.names() == ["1"]
    assert tracked.post("/experiments/e9/track").status_code == 404


def test_without_an_mlflow(client: TestClient, migrated: Settings) -> None:
    """Nothing is said of it, and nothing can be sent."""
    store = Store(migrated.database)
    store.create(new_row("e1", state=State.COMPLETED), new_tags={})
    store.close()
    assert client.get("/experiments/e1").json()["tracking"] is None
    assert client.post("/experiments/e1/track").status_code == 409
    assert "mlflow" not in client.get("/readyz").json()["checks"]


def test_readyz_says_how_mlflow_is(tracked: TestClient, runs: FakeRuns, backend: FakeBackend) -> None:
    """Never 503 for it: experiments go on without."""
    backend.down = False
    assert tracked.get("/readyz").json()["checks"]["mlflow"] == "ok"
    runs.down = True
    answer = tracked.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["mlflow"].startswith("MLflow is down; experiments go on")


def test_a_silent_mlflow_is_not_asked_for_each_request() -> None:
    """After no answer it is left alone for a while; what was known stays known."""
    now, runs = [0.0], FakeRuns()
    facts = RunFacts(runs, clock=lambda: now[0])
    wanted = {"m1": "7"}
    assert facts.of(wanted) == {"m1": RunFact.THERE}
    runs.down, now[0] = True, 10.0
    for _ in range(3):
        assert facts.of(wanted) == {"m1": RunFact.THERE}
    assert runs.looks == 2
    runs.down, now[0], runs.facts["m1"] = False, 30.0, RunFact.GONE
    assert facts.of(wanted) == {"m1": RunFact.GONE}


def test_one_that_hangs_holds_up_one_request_alone() -> None:
    """The others are answered with what is known: else all that can be asked at once would wait for it."""
    now, asked, answers = [0.0], threading.Event(), threading.Event()

    class Hanging(FakeRuns):
        def look(self, runs: Mapping[str, str]) -> dict[str, RunFact]:
            asked.set()
            assert answers.wait(20.0)
            return super().look(runs)

    facts = RunFacts(Hanging(), clock=lambda: now[0])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(facts.of, {"m1": "7"})
        assert asked.wait(20.0)
        now[0] = 1.0
        assert facts.of({"m1": "7", "m2": "7"}) == {}
        answers.set()
        assert first.result(20.0) == {"m1": RunFact.THERE}
    assert facts.of({"m2": "7"}) == {"m2": RunFact.THERE}


def test_notes_of_tracking_are_not_repeated(tracked: TestClient, migrated: Settings) -> None:
    """What MLflow has now is said once, in `tracking`: events keep what was."""
    store = Store(migrated.database)
    row = store.get("e1")
    found = [Notice(code="tracking", text="was down"), Notice(code="void", text="80 %")]
    store.note([(row, found)], now=row.created_at)
    store.close()
    assert [each["code"] for each in tracked.get("/experiments/e1").json()["notices"]] == ["void"]
    reasons = [each["reason"] for each in tracked.get("/experiments/e1/events").json()["items"]]
    assert "was down" in reasons
