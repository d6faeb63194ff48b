"""What surrounds a sweep's numbers: its cost before, its table after, and its data sets checked once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.document.cost import cost_of, crop_pixels
from sweeps.document.expand import expand
from sweeps.document.presets import PRESETS, preset_sweep
from sweeps.document.resolve import resolve_trials
from sweeps.document.spec import SweepSpec, parse_sweep
from sweeps.results.table_of_sweep import entry_of, setting_note, sweep_table
from tests.data_factories import make_report, make_spec, spec_document, write_folder
from trainer.base.errors import SpecError, StoppedEarly
from trainer.data.folders import resolve_spec
from trainer.results.report import AttemptError, AttemptReport
from trainer.spec.spec import ExperimentSpec


def sweep_of(**changes: Any) -> SweepSpec:
    return parse_sweep({"name": "s", "base": spec_document(), "seeds": [0, 1], **changes})


def test_cost_is_a_sum() -> None:
    """Iterations, pictures and seconds add up over trials; the largest trial says what must be free."""
    small, large = (
        make_spec(schedule={"iterations": 10, "batch_size": 4, "crop_size": [16, 16]}),
        make_spec(
            schedule={"iterations": 20, "batch_size": 4, "crop_size": [16, 32]},
            resources={"workers": 2, "gpus_per_worker": 1, "cpus_per_worker": 3},
        ),
    )
    cost = cost_of([small, large], pixel_seconds=lambda _: 2.0)
    assert (cost.trials, cost.iterations, cost.pictures) == (2, 30, 120)
    assert (cost.cpus, cost.gpus) == (6, 2.0)
    assert cost.train_seconds == 2.0 * (crop_pixels(small) + crop_pixels(large)) == 2.0 * (10_240 + 40_960)
    assert cost.gpu_hours == pytest.approx(2.0 * 2.0 * 40_960 / 3600)


def test_cost_of_a_sample() -> None:
    """Where the search draws as it goes, one draw stands for all of them."""
    cost = cost_of([make_spec(schedule={"iterations": 10})], trials=7)
    assert (cost.trials, cost.iterations, cost.train_seconds) == (7, 70, None)


def test_one_unmeasured_trial_leaves_the_time_unknown() -> None:
    """A sum with a part missing would be a promise."""
    specs = [make_spec(), make_spec(seed=1)]
    assert cost_of(specs, pixel_seconds=lambda spec: 1.0 if spec.seed else None).train_seconds is None


def test_a_preset_has_the_papers_numbers_beside_ours() -> None:
    """By the tag, with a note that says whose setting is whose."""
    sweep = parse_sweep(preset_sweep("table1", base={"dataset": "digit_scenes", "model": "small"}, seeds=[0]))
    entries = [entry_of(trial.row, trial.spec.seed, make_report()) for trial in expand(sweep)]
    table = sweep_table(sweep, entries)
    assert {row.row: row.published for row in table.blocks[0].rows} == dict(PRESETS["table1"].published)
    assert "Table 1 of arXiv 2204.01969 (ADE20K" in table.notes[0]
    assert "digit_scenes, model small, 1000 iterations: another data set" in table.notes[1]


def test_tables_of_models() -> None:
    """Rows of a recipe lie together, are compared with its first, and have the paper's numbers of it."""
    words = {"resources": {"gpus_per_worker": 0}, "schedule": {"iterations": 20}}
    rows = ["upernet_swin_t", "deeplabv3plus_r50"]
    sweep = parse_sweep(preset_sweep("table3", rows=rows, base=words, seeds=[0, 1]))
    trials = expand(sweep)
    assert [trial.spec.recipe for trial in trials] == [
        "table3/upernet_swin_t",
        "table3/deeplabv3plus_r50",
    ] * 4
    assert {trial.spec.schedule.iterations for trial in trials} == {20}
    assert [trial.spec.schedule.optimizer for trial in trials[:2]] == ["adamw", "sgd"]
    table = sweep_table(sweep, [entry_of(each.row, each.spec.seed, make_report()) for each in trials])
    found = [(row.row, row.published, table.reference_of(row)) for row in table.blocks[0].rows]
    swin, lab = ("recipe=table3/upernet_swin_t", "recipe=table3/deeplabv3plus_r50")
    assert found == [
        (f"baseline, {swin}", 44.51, f"baseline, {swin}"),
        (f"region rebalance, {swin}", 45.02, f"baseline, {swin}"),
        (f"baseline, {lab}", 43.95, f"baseline, {lab}"),
        (f"region rebalance, {lab}", 45.02, f"baseline, {lab}"),
    ]
    assert table.against == "the first row of the same recipe"
    assert "not as the recipes say (iterations 160k → 20)" in table.notes[1]


def scored(report: AttemptReport, *modes: str) -> AttemptReport:
    """The report with its scores in each of the modes."""
    assert report.result is not None
    evaluation = dict.fromkeys(modes, report.result.scores)
    return report.model_copy(update={"result": report.result.model_copy(update={"evaluation": evaluation})})


def test_the_papers_numbers_by_mode() -> None:
    """m.s. stands beside multi_scale alone: neither another base nor an own mode is what the paper did."""
    modes = ["single_scale", "multi_scale", "multi_scale_native", "mine"]
    words = {
        "resources": {"gpus_per_worker": 0},
        "evaluation": {"modes": [*modes[:3], {"name": "mine", "scales": [0.5, 1.0]}]},
    }
    sweep = parse_sweep(preset_sweep("table3", rows=["deeplabv3plus_r50"], base=words, seeds=[0]))
    entries = [entry_of(trial.row, 0, scored(make_report(), *modes)) for trial in expand(sweep)]
    table = sweep_table(sweep, entries)
    found = {block.mode: [row.published for row in block.rows] for block in table.blocks}
    nothing = [None, None]
    assert found == {
        "single_scale": [43.95, 45.02],
        "multi_scale": [44.93, 46.03],
        "multi_scale_native": nothing,
        "mine": nothing,
    }
    assert "(ADE20K validation, single scale and multi-scale, one seed)" in table.notes[0]


def test_a_table_without_multi_scale_has_none() -> None:
    """Table 1 is single scale: nothing stands beside other modes, and the note does not speak of them."""
    words = {"dataset": "digit_scenes", "model": "small", "evaluation": {"modes": ["multi_scale"]}}
    sweep = parse_sweep(preset_sweep("table1", base=words, seeds=[0]))
    entries = [entry_of(trial.row, 0, scored(make_report(), "multi_scale")) for trial in expand(sweep)]
    table = sweep_table(sweep, entries)
    assert {row.published for row in table.blocks[0].rows} == {None}
    assert "160k iterations, single scale, one seed)" in table.notes[0]


@pytest.mark.parametrize(
    ("preset", "recipe", "published"),
    [
        ("table3", "table3/pspnet_r50", {"baseline": 42.48, "focal": None}),
        ("table1", "table3/deeplabv3plus_r50", {"baseline": 43.95, "focal": None}),
        ("table1", "table4/deeplabv3plus_r50", {"baseline": None, "focal": None}),
    ],
)
def test_the_papers_number_stands_beside_its_own_row_alone(
    preset: str, recipe: str, published: dict[str, float | None]
) -> None:
    """Not beside a method that the table does not have, nor beside the same method of another recipe."""
    words = {"recipe": recipe, "method": "baseline", "resources": {"gpus_per_worker": 0}}
    variants = {"baseline": "baseline", "focal": "focal"}
    sweep = parse_sweep({"base": words, "variants": variants, "seeds": [0], "tags": {"preset": preset}})
    rows = sweep_table(sweep, [entry_of(each.row, 0, make_report()) for each in expand(sweep)]).blocks[0].rows
    assert {row.row: row.published for row in rows} == published


def test_a_variant_is_told() -> None:
    """5e-4 of weight decay is mmsegmentation's training, not that of the paper's text."""
    words = {"resources": {"gpus_per_worker": 0}, "variant": "mmseg"}
    sweep = parse_sweep(preset_sweep("table1", base=words, seeds=[0]))
    assert "ours: trained as the recipes say in the variant mmseg" in sweep_table(sweep, []).notes


def test_the_correlations_of_table_2() -> None:
    """The paper's and ours, in notes."""
    sweep = parse_sweep(preset_sweep("table2", base={"resources": {"gpus_per_worker": 0}}, seeds=[0]))
    (trial,) = expand(sweep)
    notes = sweep_table(sweep, [entry_of(trial.row, 0, make_report())]).notes
    assert (
        "paper: correlation of class accuracy with pixel frequency 35.0 %, with region frequency 41.3 %"
        in notes
    )
    assert any(note.startswith("ours, seed 0: correlation of class accuracy") for note in notes)


PAPER: dict[str, Any] = {
    "iterations": 160_000,
    "batch_size": 16,
    "crop_size": [512, 512],
    "optimizer": "sgd",
    "learning_rate": 0.01,
}
LAB = {"mmseg": "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512"}


@pytest.mark.parametrize(
    ("preset", "dataset", "model", "changes", "said"),
    [
        (
            "table1",
            {"name": "folder", "root": "/d"},
            "small",
            {"iterations": 800},
            "another data set, model and schedule than the",
        ),
        (
            "table1",
            {"name": "folder", "root": "/d"},
            "small",
            {},
            "another data set and model than the paper's, so",
        ),
        ("table1", {"name": "folder", "root": "/d"}, LAB, {}, "another data set than the paper's, so"),
        (
            "table1",
            "ade20k",
            "small",
            {"batch_size": 8},
            "another model and schedule than the paper's on the",
        ),
        ("table1", "ade20k", LAB, {"iterations": 80_000}, "another schedule than the paper's on the same"),
        ("table1", "ade20k", LAB, {}, "160000 iterations: the paper's data set, model and schedule"),
        ("table4", "ade20k", LAB, {"iterations": 320_000}, "another data set than the paper's, so"),
        ("figure7", "cocostuff164k", LAB, {}, "another schedule than the paper's on the same"),
        (
            "figure7",
            "cocostuff164k",
            LAB,
            {"iterations": 320_000},
            "the paper's data set, model and schedule",
        ),
    ],
)
def test_every_deviation_from_the_paper_is_named(
    preset: str, dataset: Any, model: Any, changes: dict[str, Any], said: str
) -> None:
    """Data set, model and schedule, each that is another, and none that is not."""
    spec = make_spec(dataset=dataset, model=model, schedule={**PAPER, **changes})
    note = setting_note(PRESETS[preset], spec)
    iterations = spec.schedule.iterations
    assert note.startswith(f"ours: {spec.dataset.name}, model {spec.model.label}, {iterations} iterations: ")
    assert said in note


def test_a_start_from_scratch_is_not_the_papers() -> None:
    spec = make_spec(dataset="ade20k", model=LAB, schedule=PAPER, weights="none")
    assert "another start than the paper's on the same" in setting_note(PRESETS["table1"], spec)


def test_an_untagged_sweep_has_none() -> None:
    """Nobody's numbers stand beside a sweep that does not say what it repeats, or ranks by another score."""
    sweep = sweep_of(variants={"baseline": {"kind": "baseline"}})
    assert sweep_table(sweep, [entry_of("baseline", 0, None)]).blocks[0].rows[0].published is None
    tagged = sweep_of(tags={"preset": "table1"}, metric="mAcc", variants={"baseline": {"kind": "baseline"}})
    assert sweep_table(tagged, [entry_of("baseline", 0, None)]).blocks[0].rows[0].published is None


def test_a_limit_is_said_under_the_table() -> None:
    """With what the paper's setting has to say, if that is there, before it."""
    notes = sweep_table(sweep_of(), [entry_of("a", 0, None)], limit="not all: 1 second is over").notes
    assert notes[0] == "not all: 1 second is over"


def test_a_trial_stopped_early_is_counted_as_such() -> None:
    """Its report says so."""
    error = AttemptError(type=StoppedEarly.__name__, message="rung 1")
    report = make_report().model_copy(update={"state": "cancelled", "result": None, "error": error})
    assert sweep_table(sweep_of(), [entry_of("a", 0, report)]).blocks[0].rows[0].stopped == 1


def test_every_data_set_is_looked_at_once(tmp_path: Path) -> None:
    """Two data sets and eight trials: two looks, and every trial gets its absolute root."""
    looks: list[ExperimentSpec] = []

    def counted(spec: ExperimentSpec, *, data_roots: list[Path], storage: None, most: None) -> ExperimentSpec:
        looks.append(spec)
        return resolve_spec(spec, data_roots=data_roots)

    shade = np.arange(32 * 48).reshape(32, 48) % 3
    roots = [write_folder(tmp_path / name, {"train": [shade], "val": [shade]}) for name in ("a", "b")]
    sweep = sweep_of(
        base=spec_document(
            dataset={"name": "folder", "root": str(roots[0])}, schedule={"crop_size": [32, 32]}
        ),
        axes=[{"pointer": "/dataset/root", "grid": [str(root) for root in roots]}],
        seeds=[0, 1, 2, 3],
    )
    trials = resolve_trials(sweep, expand(sweep), data_roots=[tmp_path], resolve=counted)
    assert len(trials) == 8
    assert len(looks) == 2
    assert {trial.spec.dataset.root for trial in trials} == {str(root.resolve()) for root in roots}  # type: ignore[union-attr]


def test_a_missing_data_set_is_told_where_it_was_named(tmp_path: Path) -> None:
    """At the axis whose value names it, or in the base."""
    folder = {"name": "folder", "root": str(tmp_path / "nowhere")}
    base = spec_document(dataset=folder, schedule={"crop_size": [32, 32]})
    for changes, pointer in (
        ({}, "/base/dataset/root"),
        ({"axes": [{"pointer": "/dataset/root", "grid": [folder["root"]]}]}, "/axes/0/grid/0"),
    ):
        sweep = sweep_of(base=base, **changes)
        with pytest.raises(SpecError) as caught:
            resolve_trials(sweep, expand(sweep), data_roots=[tmp_path])
        assert [problem.pointer for problem in caught.value.problems] == [pointer]
