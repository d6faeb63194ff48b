"""`rebalance track`, and what `show` says of MLflow."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from service.api.views.experiments import experiment_public
from service.cli.again.track import track
from service.cli.tables.experiments import print_experiment
from service.client import RebalanceClient
from service.client.http import ApiError
from service.shared.schemas import ExperimentPublic, ProblemDetail, TrackingPublic
from service.shared.settings import Settings
from service.shared.states import State
from service.shared.sweep_schemas import SweepPublic
from tests.unit.service.conftest import new_row
from trainer.base.ends import ExitCode


def experiment_with(settings: Settings, **tracking: Any) -> ExperimentPublic:
    found = experiment_public(new_row("e1", state=State.COMPLETED), settings)
    return found.model_copy(update={"tracking": TrackingPublic(**tracking)})


_OF_SWEEP = SimpleNamespace(self="/sweeps/swp-1")


class Client:
    """Sends e1, and refuses every other."""

    def __init__(self, answer: ExperimentPublic) -> None:
        self._answer = answer

    def track(self, identifier: str) -> ExperimentPublic:
        if identifier in ("swp-1", "none"):
            raise ApiError(404, ProblemDetail(title="Not found", status=404, detail="there is no experiment"))
        if identifier != "e1":
            problem = ProblemDetail(title="Too late", status=409, detail=f"{identifier} is running")
            raise ApiError(409, problem)
        return self._answer

    def track_sweep(self, identifier: str) -> SweepPublic:
        if identifier != "swp-1":
            raise ApiError(404, ProblemDetail(title="Not found", status=404, detail="there is no sweep"))
        return cast(SweepPublic, SimpleNamespace(id=identifier, name="", links=_OF_SWEEP))


def run(settings: Settings, *names: str) -> int:
    args = argparse.Namespace(id=list(names), json=False)
    return track(args, cast(RebalanceClient, Client(experiment_with(settings, state="behind"))))


def test_a_sweep_is_sent_too(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that is no experiment's may be a sweep's; one of neither is told as an experiment's."""
    assert run(settings, "swp-1") == 0
    assert "rebalance sweep show swp-1" in capsys.readouterr().out
    assert run(settings, "none") == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == "none: there is no experiment\n"


def test_several_at_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """One that cannot be sent keeps none of the others back, and is in the exit code."""
    assert run(settings, "e1") == 0
    assert "is being sent to MLflow again" in capsys.readouterr().out
    assert run(settings, "e2", "e1") == ExitCode.BAD_INPUT
    told = capsys.readouterr()
    assert told.err == "e2: e2 is running\n"
    assert told.out.startswith("e1 ")


@pytest.mark.parametrize(
    ("tracking", "line"),
    [
        ({"state": "ok"}, None),
        (
            {
                "state": "missing",
                "detail": "MLflow has no run of it",
                "hint": "rebalance track e1",
            },
            "missing: MLflow has no run of it; hint: rebalance track e1",
        ),
        (
            {"state": "behind", "detail": "MLflow refused: 403", "sending": True},
            "behind: MLflow refused: 403; a job is to send everything again",
        ),
    ],
)
def test_show_says_what_mlflow_lacks(settings: Settings, tracking: dict[str, Any], line: str | None) -> None:
    """One line while something is missing, none where all is well."""
    console = Console(width=200)
    with console.capture() as captured:
        print_experiment(console, experiment_with(settings, **tracking), "http://api")
    lines = [each.strip() for each in captured.get().splitlines() if each.startswith("tracking")]
    assert lines == ([] if line is None else [f"tracking  {line}"])
