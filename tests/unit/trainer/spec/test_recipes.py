"""Recipes: what a row of the paper stands for in a spec, and what is said where it was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.base.errors import SpecError
from trainer.spec.recipe_document import recipe_document
from trainer.spec.recipes import Machines, overrides_of, recipes, usual_resources
from trainer.spec.spec import ExperimentSpec, parse_spec, spec_hash

EIGHT = Machines(gpus=8, cpus=64)
ROW = "table3/deeplabv3plus_r50"


def asked(name: str = ROW, machines: Machines | None = EIGHT, **fields: Any) -> ExperimentSpec:
    return parse_spec({"recipe": name, "method": "baseline", **fields}, machines)


def refused(document: dict[str, Any], machines: Machines | None = EIGHT) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(document, machines)
    return {problem.pointer: problem.got for problem in caught.value.problems}


def changed(spec: ExperimentSpec) -> list[str]:
    return [str(each) for each in overrides_of(spec.model_dump(mode="json"))]


def test_all_rows_with_the_papers_numbers(shared_data: Path) -> None:
    """23 rows, in the paper's order within each table, each with both methods in both modes."""
    paper = json.loads((shared_data / "paper_results.json").read_text())
    tables = {"table3": "table3_ade20k", "table4": "table4_cocostuff164k", "table7": "table7_cocostuff10k"}
    wanted = [
        (table, one["head"], one["backbone"], one["baseline"], one["region_rebalance"])
        for table, key in tables.items()
        for one in paper[key]
    ]
    found = [
        (one.table, one.head, one.backbone, one.paper["baseline"], one.paper["region_rebalance"])
        for one in recipes().values()
    ]
    assert found == wanted
    assert len(found) == 23


@pytest.mark.parametrize("name", list(recipes()))
def test_the_name_is_enough(name: str) -> None:
    """On a cluster with GPUs the name, a method and data are a whole spec, and nothing in it is changed."""
    spec = asked(name)
    assert changed(spec) == []
    resources = spec.resources
    assert (resources.workers, resources.gpus_per_worker, resources.cpus_per_worker) == (8, 1, 5)
    assert spec.weights == "pretrained"
    assert spec.schedule.loss_average == "all"
    assert spec.schedule.batch_size == 16
    assert spec.evaluation.interval == 16_000
    assert parse_spec(spec.model_dump(mode="json")) == spec  # as it is stored
    document = recipe_document(recipes()[name])
    assert document["spec"]["schedule"] == spec.model_dump(mode="json")["schedule"]


def test_facts_that_are_easy_to_get_wrong() -> None:
    """What rows say themselves, written out from the paper and the files."""
    plain, swin, beit = map(asked, (ROW, "table3/upernet_swin_b", "table3/upernet_beit_l"))
    assert (plain.schedule.iterations, plain.schedule.weight_decay) == (160_000, 1e-4)
    assert asked(variant="mmseg").schedule.weight_decay == 5e-4
    assert (swin.schedule.crop_size, swin.schedule.weight_decay) == ((640, 640), 0.01)
    assert (swin.augmentation.resize_base, swin.augmentation.test_size) == ((2560, 640), (2560, 640))
    assert recipes()["table3/upernet_swin_b"].mmseg == {
        "ss": 50.13, "ms": 51.9, "note": "of crops of 512: mmsegmentation has no training with crops of 640",
    }  # fmt: skip
    window = beit.evaluation.model_dump(mode="json")["inference"]
    assert window == {"window": [640, 640], "stride": [426, 426]}
    schedule = beit.schedule
    assert (schedule.iterations, schedule.warmup_iterations, schedule.accumulate) == (160_000, 1500, 2)
    assert (schedule.layer_decay, schedule.precision) == (0.95, "fp16")
    assert asked("table4/upernet_swin_t").schedule.iterations == 320_000
    assert asked("table7/deeplabv3plus_r101").schedule.iterations == 40_000
    assert recipes()["table4/ocrnet_hr18"].mmseg is None


def test_what_was_changed_is_said() -> None:
    spec = asked(
        dataset={"name": "folder", "root": "/d"},
        weights="none",
        schedule={"iterations": 2000, "crop_size": [64, 96]},
        augmentation={"resize_base": "native"},
    )
    assert changed(spec) == [
        "data set ade20k → folder",
        "weights pretrained → none",
        "iterations 160k → 2k",
        "crop size 512×512 → 64×96",
        "resize base 2048×512 → native",
    ]


def test_names_change_no_hash() -> None:
    """A recipe, written out, is the same training: its checkpoints are found."""
    named = asked()
    written = named.model_dump(mode="json")
    del written["recipe"]
    assert spec_hash(parse_spec(written)) == spec_hash(named)


def test_no_training_on_a_cpu_unasked() -> None:
    """The most expensive mistake: a row on a cluster without GPUs."""
    document = {"recipe": ROW, "method": "baseline"}
    assert "the cluster has no GPU" in refused(document, Machines(0, 64))["/resources/gpus_per_worker"]
    assert "not known" in refused(document, None)["/resources/gpus_per_worker"]
    assert "/resources/gpus_per_worker" in refused({**document, "resources": {"workers": 2}}, None)
    spec = asked("table3/upernet_beit_l", None, resources={"gpus_per_worker": 0})
    assert spec.schedule.precision == "float32"
    assert changed(spec) == ["precision fp16 → float32"]


def test_unknown_names() -> None:
    unknown = {"recipe": "table3/deeplab_r50", "method": "baseline"}
    assert "near: table3/deeplabv3plus_r50" in refused(unknown)["/recipe"]
    small = {"dataset": "digit_scenes", "model": "small", "method": "baseline", "variant": "mmseg"}
    assert refused(small) == {"/variant": "'mmseg' is given without /recipe"}


@pytest.mark.parametrize("field", ["schedule", "augmentation", "evaluation", "resources", "dataset", "model"])
@pytest.mark.parametrize("value", [None, [], 3, "x"])
def test_fields_of_another_kind_are_told(field: str, value: Any) -> None:
    """What a recipe has under a field is no reason to stumble over what was given there."""
    if (field, value) == ("dataset", None):
        assert changed(asked(dataset=None)) == []
        return
    found = refused({"recipe": ROW, "method": "baseline", field: value})
    assert any(pointer.startswith(f"/{field}") for pointer in found)


def test_windows_follow_the_crop() -> None:
    """BEiT takes pictures of the crop's size alone."""
    spec = asked("table3/upernet_beit_l", schedule={"crop_size": [320, 320]})
    window = spec.evaluation.model_dump(mode="json")["inference"]
    assert window == {"window": [320, 320], "stride": [213, 213]}
    whole = {"recipe": "table3/upernet_beit_l", "method": "baseline", "evaluation": {"inference": "whole"}}
    assert "the crop's size alone" in refused(whole)["/evaluation/inference"]


@given(batch=st.integers(1, 64), parts=st.integers(1, 4), gpus=st.integers(1, 40), cpus=st.integers(1, 200))
def test_resources_divide_the_batch(batch: int, parts: int, gpus: int, cpus: int) -> None:
    """As many whole GPUs as there are and as divide the batch; CPUs that are there."""
    found = usual_resources({"batch_size": batch, "accumulate": parts}, Machines(gpus, cpus))
    workers = found["workers"]
    assert found["gpus_per_worker"] == 1
    assert 1 <= workers <= gpus
    fits = [n for n in range(1, gpus + 1) if batch % (n * parts) == 0]
    assert workers == max(fits, default=1)
    assert 1 <= found["cpus_per_worker"] <= 5
    assert found["cpus_per_worker"] * workers <= max(cpus, workers)


@pytest.mark.parametrize("recipe", ["table3/nothing", "", 3, ["table3/pspnet_r50"], {}])
def test_a_recipe_that_there_is_not_is_the_only_problem(recipe: object) -> None:
    """What it would have given is not missed as well; what else is wrong is told."""
    document = {"recipe": recipe, "dataset": {"root": "/data"}, "method": "baseline"}
    assert list(refused(document)) == ["/recipe"]
    assert list(refused({**document, "seed": -1})) == ["/recipe", "/seed"]


@pytest.mark.parametrize(("stride", "taken"), [(1, False), (7, False), (8, True), (64, True), (65, False)])
def test_windows_lie_neither_apart_nor_by_the_thousand(stride: int, taken: bool) -> None:
    """With a stride of 1 a picture would be predicted once for each of its pixels."""
    inference = {"window": [64, 64], "stride": [stride, 32]}
    document = {"recipe": ROW, "method": "baseline", "evaluation": {"inference": inference}}
    if taken:
        parse_spec(document, EIGHT)
    else:
        assert list(refused(document)) == ["/evaluation/inference/stride/0"]
