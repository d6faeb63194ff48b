"""The campaign on CamVid: its sweep, and its page."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import pytest

from scripts import campaign
from service.shared.states import State
from service.shared.sweep_schemas import SweepLinks, SweepPublic, TrialCounts, TrialPublic
from sweeps.document.expand import expand
from sweeps.document.presets import PRESETS
from sweeps.document.spec import parse_sweep
from sweeps.results.formats import to_markdown
from sweeps.results.table_of_sweep import entry_of, sweep_table
from tests.data_factories import make_report


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_sweep(preset: str) -> None:
    """Each row with each seed, all rows of a seed before the next."""
    trials = expand(parse_sweep(campaign.document(preset, 3, None)))
    rows = list(PRESETS[preset].methods)
    assert [trial.row for trial in trials] == rows * 3
    assert [trial.spec.seed for trial in trials] == [seed for seed in range(3) for _ in rows]


def test_another_campaign_is_another_sweep() -> None:
    """The key is that of the document: the same goes on, a shorter one is posted anew."""
    keys = [campaign._key(campaign.document("table1", 3, iterations)) for iterations in (None, None, 10)]
    assert keys[0] == keys[1] != keys[2]


def test_the_page_has_every_trial_and_no_directory() -> None:
    """The table, a line for each trial, and a sweep that can be posted again."""
    sweep = parse_sweep(campaign.document("table1", 2, None))
    trials, reports = expand(sweep), [make_report() for _ in range(10)]
    table = sweep_table(
        sweep, [entry_of(each.row, each.spec.seed, one) for each, one in zip(trials, reports, strict=True)]
    )
    spec = sweep.model_dump(mode="json", by_alias=True)
    spec["base"]["dataset"]["root"] = "/somebody/else/camvid"
    text = campaign.page(
        SweepPublic(
            id="s",
            name=sweep.name,
            state=State.COMPLETED,
            paused=False,
            attempt=1,
            spec=spec,
            created_at=datetime.now(UTC),
            updated_at=datetime.now(UTC),
            counts=TrialCounts(total=10, completed=10),
            trials=tuple(
                TrialPublic(
                    number=each.number,
                    experiment=f"s-{each.number:04d}",
                    row=each.row,
                    seed=each.spec.seed,
                    state=State.COMPLETED,
                )
                for each in trials
            ),
            links=SweepLinks(self="", events="", table="", experiments="", cancel="", pause="", resume=""),
        ),
        to_markdown(table),
        reports,
        argparse.Namespace(preset="table1", seeds=2, iterations=None),
    )
    assert text.startswith("# Table 1 on CamVid: 5 methods, 2 seeds")
    assert text.count("\n# ") == 0
    assert "/somebody/else" not in text
    assert [line for line in text.splitlines() if line.startswith("| balanced softmax* |")][-1].count(
        "|"
    ) == 10
    again = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert expand(parse_sweep(again)) == trials
