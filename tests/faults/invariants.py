"""What must hold once everything has ended, whatever was done meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sweeps.results.table import Table
from tests.deploy.hosts.invariants import checked
from tests.e2e.instance import until
from tests.faults.lab import Lab
from tests.faults.work import KINDS, TRIALS, Kind, Posted, trials_of
from trainer.results.report import read_report

END_SECONDS, SENT_SECONDS, LEFT_SECONDS = 1800.0, 400.0, 30.0
_MLFLOW_STATUS = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def check_experiment(work: Posted, kind: str, undisturbed: Posted, *, may_be_cancelled: bool) -> Counter[str]:
    """One final state, the one that its spec leads to, and what goes with it; what it cost, counted."""
    wanted = KINDS[kind]
    state = str(work.now().state)
    found = Counter({"attempts": len(work.attempts), state: 1, **_rests(work)})
    if state == "cancelled" and may_be_cancelled:
        _check_without_result(work, Kind(wanted.document, "cancelled"))
    elif wanted.ends != "completed":
        _check_without_result(work, wanted)
    else:
        costs = checked(work, undisturbed)
        found |= Counter({"iterations_repeated": costs["iterations_repeated"], "weights_equal": 1})
        found["steps_after_superseded"] = costs["steps_after_superseded"]
    return found


def _check_without_result(work: Posted, kind: Kind) -> None:
    """It ended once, as it should, and no report has a result; its run in MLflow has its status."""
    ended = work.now()
    assert ended.state == kind.ends, (work.id, ended.state, ended.error)
    assert kind.error is None or (ended.error and ended.error.type == kind.error), (work.id, ended.error)
    events: list[Any] = work.ask(lambda client: list(client.events(work.id)))
    final = [each for each in events if each.to_state.ended and each.from_state != each.to_state]
    assert len(final) == 1, final
    reports = [read_report(work.storage.attempt(work.id, k).report) for k in work.attempts]
    assert not [one for one in reports if one is not None and one.state == "completed"]
    until(lambda: not _is_behind(work), seconds=SENT_SECONDS, what=f"MLflow has all of {work.id}")
    statuses = mlflow_statuses(work.deployment, f"tags.`rebalance.experiment` = '{work.id}'")
    assert statuses in ([], [_MLFLOW_STATUS[kind.ends]]), (work.id, statuses)
    assert statuses or kind.ends == "cancelled", f"{work.id} has no run in MLflow"


def _rests(work: Posted) -> dict[str, int]:
    """How often it came to rest, and how often it went on."""
    events: list[Any] = work.ask(lambda client: list(client.events(work.id)))
    steps = [(each.from_state, each.to_state) for each in events]
    return {"paused": sum(to == "paused" for _, to in steps), "resumed": steps.count(("paused", "queued"))}


def _is_behind(work: Posted) -> bool:
    """What never began has nothing to send."""
    now = work.now()
    return now.tracking is not None and now.tracking.state != "ok"


def check_sweep(lab: Lab, sweep: str, undisturbed: str) -> Counter[str]:
    """All trials completed, each as the undisturbed sweep's, and the tables agree."""
    ended = lab.ask(lambda client: client.sweep(sweep))
    assert ended.state == "completed", (ended.state, ended.error)
    found = Counter({"sweep_attempts": ended.attempt, "sweeps_completed": 1})
    for mine, other in zip(trials_of(lab, sweep), trials_of(lab, undisturbed), strict=True):
        costs = checked(mine, other)
        found += Counter({"trials_completed": 1, "trials_equal": 1, "trial_attempts": costs["attempts"]})
        found["iterations_repeated"] += costs["iterations_repeated"]
    directories = {path.name for path in (lab.storage.root / "runs").glob(f"{sweep}-*")}
    assert directories == {each.id for each in trials_of(lab, sweep)}
    assert _table(lab, sweep) == _table(lab, undisturbed)
    statuses = mlflow_statuses(lab, f"tags.`rebalance.sweep` = '{sweep}'")
    assert statuses == ["FINISHED"] * (TRIALS + 1), statuses
    return found


def check_rows(lab: Lab, accepted: Mapping[str, int]) -> None:
    """There is a row for whatever was accepted, and no other one."""
    found = {table: lab.rows(table) for table in accepted}
    assert found == accepted


def check_nothing_left(lab: Lab) -> None:
    """No job and no worker outlives its experiment, but for the moment that a process takes to end."""
    until(lambda: not [*lab.jobs(), *lab.workers()], seconds=LEFT_SECONDS, what="no process is left")


def _table(lab: Lab, sweep: str) -> Table:
    return Table.model_validate_json(lab.storage.sweep(sweep).table.read_text())


def mlflow_statuses(lab: Lab, wanted: str) -> list[str]:
    """Of the runs that a filter finds."""
    with lab.mlflow_http() as http:
        groups = http.post("/experiments/search", json={"max_results": 100}).raise_for_status().json()
        ids = [each["experiment_id"] for each in groups["experiments"]]
        asked = {"experiment_ids": ids, "filter": wanted, "max_results": 100}
        answer = http.post("/runs/search", json=asked).raise_for_status().json()
    return [run["info"]["status"] for run in answer.get("runs", [])]
