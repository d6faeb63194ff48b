"""Numbers of another mode than single scale say so in a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from service.cli.tables.experiments import print_experiment
from service.cli.tables.sweeps import print_results
from service.shared.schemas import ExperimentPublic, Headline, Links
from service.shared.states import State
from sweeps.results.table import Entry, make_table
from tests.data_factories import make_report
from trainer.results.report import AttemptReport


def report_in(*modes: str) -> AttemptReport:
    report = make_report()
    assert report.result is not None
    [scores] = report.result.evaluation.values()
    result = report.result.model_copy(update={"evaluation": dict.fromkeys(modes, scores)})
    return report.model_copy(update={"result": result})


def printed(*modes: str) -> list[str]:
    out = io.StringIO()
    table = make_table("s", [Entry("a", 0, report_in(*modes))])
    print_results(Console(file=out, width=100), table)
    return [line.strip() for line in out.getvalue().splitlines()]


def test_tables_name_the_mode() -> None:
    """Above each block of several, and above one that is not of single scale."""
    assert "single_scale" not in printed("single_scale")
    assert "multi_scale_native" in printed("multi_scale_native")
    both = printed("single_scale", "multi_scale")
    assert both.index("single_scale") < both.index("multi_scale")


@pytest.mark.parametrize(
    ("modes", "shown"),
    [
        (["single_scale", "multi_scale"], None),
        (["multi_scale_native"], "multi_scale_native"),
        ([{"name": "two", "scales": [1, 2]}], "two"),
    ],
)
def test_an_experiment_names_the_mode(modes: list[Any], shown: str | None) -> None:
    """Behind its scores, where its first mode is not single scale."""
    out, now = io.StringIO(), datetime(2026, 1, 1, tzinfo=UTC)
    each = ExperimentPublic(
        id="e1",
        name="n",
        state=State.COMPLETED,
        attempt=1,
        spec={"evaluation": {"modes": modes}},
        created_at=now,
        updated_at=now,
        headline=Headline(mIoU=40.0),
        links=Links(self="/a", events="/b", logs="/l", metrics="/m", report="/c", cancel="/x"),
    )
    print_experiment(Console(file=out, width=120), each, "")
    [line] = [line for line in out.getvalue().splitlines() if line.startswith("scores")]
    assert ("(" in line) == (shown is not None)
    assert shown is None or line.rstrip().endswith(f"({shown})")
