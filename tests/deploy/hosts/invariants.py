"""What must hold at the end of an experiment, whatever was done to the hosts that it ran on."""

from __future__ import annotations

from typing import Any

from service.shared.schemas import EventPublic
from tests.deploy.hosts.work import Work
from tests.e2e.instance import until
from trainer.results.report import read_report


def checked(work: Work, undisturbed: Work) -> dict[str, Any]:
    """What must hold of an experiment that was disturbed, and what the disturbance cost, as counts.

    One final state, a completed report of the last attempt alone, the weights and scores of the run that was
    left alone, one finished run in MLflow, no step twice in an attempt, no writer that another has followed,
    and no process left.
    """
    ended = work.ended()
    assert ended.state == "completed", (ended.error, _events(work))
    final = [each for each in _events(work) if each.to_state.ended and each.from_state != each.to_state]
    assert len(final) == 1, final
    reports = [read_report(work.storage.attempt(work.id, k).report) for k in work.attempts]
    assert [one.state for one in reports if one is not None].count("completed") == 1
    assert work.weights() == undisturbed.weights(), "weights differ from those of the run left alone"
    assert work.scores() == undisturbed.scores(), "scores differ from those of the run left alone"
    until(
        lambda: (found := work.now().tracking) and found.state == "ok", seconds=240, what="MLflow has it all"
    )
    _check_mlflow(work)
    until(lambda: not work.trains_on(), seconds=60, what="no worker of a training is left")
    return {
        "attempts": len(work.attempts),
        "iterations_repeated": _repeated(work),
        "steps_after_superseded": _after_superseded(work),
    }


def _events(work: Work) -> list[EventPublic]:
    found: list[EventPublic] = work.ask(lambda client: list(client.events(work.id)))
    return found


def _repeated(work: Work) -> int:
    """Iterations that were trained again since the last checkpoint; each attempt has each of its own once."""
    repeated, farthest = 0, 0
    for attempt in work.attempts:
        iterations = [int(each["iteration"]) for each in work.steps(attempt)]
        assert iterations == sorted(set(iterations)), f"attempt {attempt} of {work.id} has a step twice"
        if iterations:
            repeated += max(0, farthest - iterations[0] + 1)
            farthest = max(farthest, iterations[-1])
    return repeated


def _after_superseded(work: Work) -> int:
    """Records that attempts have written once the next one had begun: each stops at its first."""
    late = 0
    for attempt in work.attempts[:-1]:
        following = work.storage.attempt(work.id, attempt + 1)
        began = following.spec.modified_ns() or 0
        after = [each for each in work.records(attempt) if each["time"] > began / 1e9]
        assert len(after) <= 1, f"attempt {attempt} of {work.id} went on beside the next"
        late += len(after)
    return late


def _check_mlflow(work: Work) -> None:
    """One run, finished, which has no point twice."""
    with work.deployment.mlflow_http() as http:

        def ask(path: str, **body: Any) -> dict[str, Any]:
            answer = http.post(path, json=body) if body.get("max_results") else http.get(path, params=body)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
            return found

        groups = [
            each["experiment_id"] for each in ask("/experiments/search", max_results=100)["experiments"]
        ]
        wanted = f"tags.`rebalance.experiment` = '{work.id}'"
        runs = ask("/runs/search", experiment_ids=groups, filter=wanted, max_results=10)["runs"]
        statuses = [run["info"]["status"] for run in runs]
        assert statuses == ["FINISHED"], statuses
        run_id = runs[0]["info"]["run_id"]
        history = ask("/metrics/get-history", run_id=run_id, metric_key="train/loss")["metrics"]
    points = [(each["step"], each["timestamp"]) for each in history]
    assert len(points) == len(set(points))
    measured = {
        (int(one["iteration"]), int(one["time"] * 1000)) for k in work.attempts for one in work.steps(k)
    }
    there = {(int(step), int(at)) for step, at in points}
    assert there == measured, (sorted(there - measured), sorted(measured - there))
