"""What each figure shows, from small examples written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.figures.studies import (
    BASE,
    BETTER,
    RR,
    from_directories,
    leave,
    report_of,
    two_by_two,
)
from trainer.figures.catalogue import KINDS
from trainer.figures.rows.row import Missing, Row
from trainer.figures.sources import Source, source_at, study_of
from trainer.figures.study import MOST_SETTINGS, Study
from trainer.spec.recipes import recipes


def rows(name: str, study: Study) -> list[Row]:
    found = KINDS[name].rows(study)
    assert not isinstance(found, Missing), found
    return found


def needs(name: str, study: Study) -> str:
    found = KINDS[name].rows(study)
    assert isinstance(found, Missing)
    return found.needs


def of(*settings: dict[str, Any]) -> Study:
    """A study of one run for each, all with the same scores."""
    reports = [report_of(f"e{number}", BASE, **spec) for number, spec in enumerate(settings)]
    return study_of([Source(report) for report in reports])


def test_settings_are_runs_that_differ_in_their_seed_alone() -> None:
    """Their label is the method; the first is the reference; a seed that is there twice counts once."""
    study = two_by_two()
    assert [(one.label, [run.experiment for run in one.runs]) for one in study.settings] == [
        ("baseline", ["b0", "b1"]),
        ("region_rebalance", ["r0", "r1"]),
    ]
    assert [one.is_reference for one in study.settings] == [True, False]
    twice = study_of([Source(report_of(name, BASE)) for name in ("a", "b")])
    assert [run.experiment for run in twice.settings[0].runs] == ["a"]
    assert "repeats of a seed, not in the figures: b" in twice.notes


def test_labels_tell_settings_apart() -> None:
    """Where the method does not, the model does; else the experiment's id stands there."""
    study = of({}, {"schedule": {"iterations": 7}})
    assert [one.label for one in study.settings] == [
        "baseline, small, digit_scenes, e0",
        "baseline, small, digit_scenes, e1",
    ]


def test_figure_1_is_the_mean_gain_over_shared_seeds() -> None:
    """A row for each seed that both have; the mean is that of the sweep's table."""
    study = two_by_two()
    found = rows("figure1", study)
    assert [(row["setting"], row["baseline"], row["seed"]) for row in found] == [
        ("region_rebalance", "baseline", 0),
        ("region_rebalance", "baseline", 1),
    ]
    first, second = (row["gain"] for row in found)
    assert second == 0
    assert isinstance(first, float)
    assert found[0]["mean"] == pytest.approx(first / 2) == pytest.approx(study.settings[1].delta)


def test_figure_1_stays_within_a_model() -> None:
    """A method on another model is not measured against the first model's baseline."""
    other = {"mmseg": "pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512"}
    schedule = {"crop_size": [64, 64]}
    study = of({}, {"method": RR}, {"model": other, "schedule": schedule, "method": RR})
    assert {(row["model"], row["setting"]) for row in rows("figure1", study)} == {
        ("small", "region_rebalance, small")
    }


def test_figure_1_has_the_papers_gain_of_a_recipe() -> None:
    """The difference of the paper's two numbers, where it has both."""
    row = {
        "recipe": "table3/deeplabv3plus_r50",
        "dataset": {"name": "ade20k", "root": "/data"},
        "model": {"mmseg": recipes()["table3/deeplabv3plus_r50"].fields["model"]["mmseg"]},
        "resources": {"gpus_per_worker": 1},
    }
    gains = rows("figure1", of(row, {**row, "method": RR}))
    assert [each["paper"] for each in gains] == [pytest.approx(45.02 - 43.95)]


def test_figure_3_has_every_class_by_falling_frequency() -> None:
    """Means over seeds, and their difference to the reference, which has none itself."""
    found = [row for row in rows("figure3", two_by_two()) if row["setting"] == "region_rebalance"]
    assert [(row["class"], row["rank"], row["group"]) for row in found] == [
        ("class 0", 1, "head"),
        ("class 1", 2, "body"),
        ("class 2", 3, "tail"),
    ]
    tail = found[2]
    iou_before, iou_after = 100 * 10 / 20, (100 * 16 / 22 + 100 * 10 / 20) / 2
    assert tail["iou"] == pytest.approx(iou_after)
    assert tail["delta_iou"] == pytest.approx(iou_after - iou_before)
    assert tail["delta_acc"] == pytest.approx((80 + 50) / 2 - 50)
    reference = [row for row in rows("figure3", two_by_two()) if row["setting"] == "baseline"]
    assert [row["delta_iou"] for row in reference] == [None] * 3


def test_nothing_is_drawn_across_labels() -> None:
    """A setting that was scored on other labels is in no figure of differences."""
    other = [[90, 20, 0], [10, 40, 0], [5, 5, 10]]
    study = study_of([Source(report_of("a", BASE)), Source(report_of("b", other, method=RR))])
    for name in ("figure1", "figure3", "figure8", "remark1", "confusion"):
        assert isinstance(KINDS[name].rows(study), Missing)
    assert any("other labels" in note for note in study.notes)


def test_figure_4_has_accuracy_and_frequency() -> None:
    """Of every class of every setting."""
    found = rows("figure4", two_by_two())
    assert len(found) == 6
    assert found[0] == {
        "setting": "baseline",
        "class": "class 0",
        "id": 0,
        "group": "head",
        "pixel_frequency": 1000,
        "region_frequency": 100,
        "acc": 80.0,
    }


def test_figure_5_has_the_imbalance_factors() -> None:
    """Largest over smallest count; equal training sets are there once."""
    found = rows("figure5", two_by_two())
    pixels = [row for row in found if row["frequency"] == "pixel"]
    assert [(row["rank"], row["class"], row["count"]) for row in pixels] == [
        (1, "class 0", 1000),
        (2, "class 1", 100),
        (3, "class 2", 10),
    ]
    assert {row["imbalance_factor"] for row in pixels} == {100.0}
    assert {row["imbalance_factor"] for row in found if row["frequency"] == "region"} == {100 / 98}


def test_figure_7_needs_all_three_parts() -> None:
    """Baseline, the branch alone, and with its rebalancing; each run is a row."""
    parts = ({}, {"method": {**RR, "rebalance": "none"}}, {"method": RR})
    assert [(row["part"], row["setting"]) for row in rows("figure7", of(*parts))] == [
        ("baseline", "baseline"),
        ("I: region classification", "region_rebalance (rebalance=none)"),
        ("II: I + balanced softmax", "region_rebalance"),
    ]
    assert "rebalance" in needs("figure7", of(parts[0], parts[2]))
    other = {**RR, "scope": "batch"}  # no part of the figure
    assert "rebalance" in needs("figure7", of(parts[0], parts[1], {"method": other}))


def test_figure_8_has_an_arrow_for_each_class() -> None:
    """From (Acc, IoU) before to after; its angle is clockwise from straight up."""
    study = study_of([Source(report_of("a", BASE)), Source(report_of("b", BETTER, method=RR))])
    tail = rows("figure8", study)[2]
    assert (tail["acc_before"], tail["acc_after"]) == (50.0, 80.0)
    assert tail["iou_after"] == pytest.approx(100 * 16 / 22)
    assert isinstance(tail["angle"], float)
    assert 45 < tail["angle"] < 90, "Acc rose more than IoU"


def test_remark_1_has_both_sides() -> None:
    """In percent of the class's pixels; it is met where the left side is smaller."""
    study = study_of([Source(report_of("a", BASE)), Source(report_of("b", BETTER, method=RR))])
    head, body, tail = rows("remark1", study)
    assert (tail["right"], tail["met"], tail["iou_rose"]) == (pytest.approx(60.0), True, True)
    # g = 0.6, FP before 0, after 2: 2 of 20 pixels.
    assert tail["left"] == pytest.approx(10.0)
    assert (head["acc_rose"], body["acc_rose"]) == (False, True)


def test_confusion_pairs_that_changed_most(tmp_path: Path) -> None:
    """Shares of the true class's pixels, largest change first."""
    found = rows("confusion", from_directories(tmp_path))
    assert [(row["truth"], row["predicted"], row["change"]) for row in found[:3]] == [
        ("class 2", "class 0", pytest.approx(100 * (2 - 5) / 20)),
        ("class 2", "class 1", pytest.approx(100 * (2 - 5) / 20)),
        ("class 1", "class 0", pytest.approx(100 * (5 - 10) / 50)),
    ]
    assert (found[0]["pixels_before"], found[0]["pixels_after"]) == (5, 2)
    assert "confusion.npz" in needs("confusion", two_by_two())


def test_a_damaged_count_file_is_no_figure(tmp_path: Path) -> None:
    """The others are drawn all the same."""
    path = leave(tmp_path, report_of("b0", BASE), BASE)
    (path / "1" / "confusion.npz").write_bytes(b"PK")
    other = leave(tmp_path, report_of("r0", BETTER, method=RR), BETTER)
    study = study_of([source_at(path), source_at(other)])
    assert "confusion.npz" in needs("confusion", study)
    assert rows("figure3", study)


def test_seeds_have_mean_and_interval() -> None:
    """The same for each run of a setting; two equal runs have an interval of no width."""
    found = [row for row in rows("seeds", two_by_two()) if row["setting"] == "baseline"]
    assert [row["experiment"] for row in found] == ["b0", "b1"]
    assert {(row["mean"], row["low"], row["high"]) for row in found} == {
        (found[0]["value"], found[0]["value"], found[0]["value"])
    }


def test_lambda_needs_three_values() -> None:
    """The baseline counts as 0; settings that differ in more than λ are left out."""
    weights = [{"method": {**RR, "lambda": value}} for value in (0.1, 0.3)]
    found = rows("lambda", of({}, *weights, {"method": {**RR, "scope": "batch"}}))
    assert [row["lambda"] for row in found] == [0.0, 0.1, 0.3]
    assert "λ" in needs("lambda", of({}, weights[0]))


def test_curves_are_those_of_all_attempts(tmp_path: Path) -> None:
    """What a resumed run did again counts once, as it was done last."""
    path = leave(tmp_path, report_of("b0", BASE), losses=5)
    later = report_of("b0", BASE).model_copy(update={"attempt": 2})
    leave(tmp_path, later)
    line = '{"kind": "train", "iteration": 3, "loss": 9.0, "time": 9}\n'
    (path / "2" / "metrics.jsonl").write_text(line + line[:20])
    found = rows("curves", study_of([source_at(path)]))
    losses = [(row["iteration"], row["value"]) for row in found if row["measure"] == "loss"]
    assert losses == [(1, 2.0), (2, 1.0), (3, 9.0), (4, 0.5)]
    assert [row["value"] for row in found if row["measure"] == "mIoU"] == [50.5]


def test_long_curves_are_thinned_to_their_last_point(tmp_path: Path) -> None:
    """A report of many runs stays small."""
    path = leave(tmp_path, report_of("b0", BASE), losses=1003)
    found = rows("curves", study_of([source_at(path)]))
    losses = [row["iteration"] for row in found if row["measure"] == "loss"]
    assert len(losses) <= 101
    assert losses[-1] == 1002


def test_cost_is_that_of_the_comparison() -> None:
    """Seconds of training and evaluation."""
    assert [row["seconds"] for row in rows("cost", two_by_two())] == [50.0] * 4


def test_one_experiment_alone() -> None:
    """Has what needs no second one, and says of the rest what it needs."""
    study = of({})
    drawn = {name for name, kind in KINDS.items() if not isinstance(kind.rows(study), Missing)}
    assert drawn == {"seeds", "figure4", "figure5", "cost"}


def test_very_many_settings_are_not_all_drawn() -> None:
    """The first are; the notes say how many are left."""
    study = of(*({"method": {**RR, "lambda": number / 100}} for number in range(MOST_SETTINGS + 2)))
    assert len(study.settings) == MOST_SETTINGS
    assert study.notes[-1] == f"figures show the first {MOST_SETTINGS} settings; 2 more are in the tables"
    assert len(study.tables[0].grid.rows) == MOST_SETTINGS + 2
