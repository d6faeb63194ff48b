"""An axis over recipes: each row is that recipe with the same changes to it."""

from __future__ import annotations

from typing import Any

import pytest

from sweeps.document.expand import expand
from sweeps.document.preset_options import add_preset_options, preset_document
from sweeps.document.rebase import rebased
from sweeps.document.spec import parse_sweep
from trainer.base.errors import SpecError
from trainer.spec.recipes import Machines, overrides_of, recipes
from trainer.spec.spec import parse_spec

GPUS = Machines(4, 32)
BASE = {"recipe": "table3/deeplabv3plus_r50", "method": "region_rebalance"}


def changes(document: dict[str, Any]) -> dict[str, Any]:
    return {each.pointer: each.spec for each in overrides_of(document)}


@pytest.mark.parametrize("name", list(recipes()))
def test_the_same_changes(name: str) -> None:
    """What is not the first recipe's is not the other's either; all else is the other's."""
    asked = {"schedule": {"iterations": 2000, "batch_size": 8}, "weights": "none", "seed": 3}
    first = parse_spec({**BASE, **asked}, GPUS).model_dump(mode="json")
    other = parse_spec(rebased(first, name, "paper")).model_dump(mode="json")
    assert changes(other) == changes(first)
    assert (other["seed"], other["recipe"], other["resources"]) == (3, name, first["resources"])
    assert other["method"] == first["method"]


def test_a_data_set_of_ones_own_stays() -> None:
    """Recipes of another data set look for it in its place, but not where one was named instead of theirs."""
    root = {"root": "/data/ade"}
    own = parse_spec({**BASE, "dataset": root}, GPUS).model_dump(mode="json")
    assert rebased(own, "table3/pspnet_r50")["dataset"]["root"] == "/data/ade"
    theirs = rebased(own, "table4/pspnet_r50")["dataset"]
    assert theirs == recipes()["table4/pspnet_r50"].fields["dataset"]
    counted = parse_spec({**BASE, "dataset": {**root, "frequency_table": None}}, GPUS).model_dump(mode="json")
    assert rebased(counted, "table4/pspnet_r50")["dataset"]["frequency_table"] is None
    folder = {"name": "folder", "root": "/mine"}
    mine = parse_spec({**BASE, "dataset": folder}, GPUS).model_dump(mode="json")
    assert rebased(mine, "table4/pspnet_r50", "paper")["dataset"]["root"] == "/mine"


def test_pictures_of_another_data_set_are_shrunk_as_well() -> None:
    native = {"resize_base": "native", "test_size": "native"}
    asked = {"dataset": {"scale": 0.5}, "augmentation": native}
    first = parse_spec({**BASE, **asked}, GPUS).model_dump(mode="json")
    assert changes(parse_spec(rebased(first, "table4/pspnet_r50")).model_dump(mode="json")) == changes(first)


def test_windows_are_the_models_unless_asked_for() -> None:
    """A smaller crop is every row's; the windows that BEiT slides over a picture then are its own."""
    crop = {"schedule": {"crop_size": [320, 320]}}
    beit = {**BASE, "recipe": "table3/upernet_beit_l", **crop}
    whole = rebased(parse_spec(beit, GPUS).model_dump(mode="json"), "table3/upernet_swin_t")
    assert whole["evaluation"]["inference"] == "whole"
    back = rebased(parse_spec({**BASE, **crop}, GPUS).model_dump(mode="json"), beit["recipe"])
    assert back["evaluation"]["inference"] == {"window": [320, 320], "stride": [213, 213]}
    windows = {"window": [320, 320], "stride": [160, 160]}
    slid = parse_spec({**beit, "evaluation": {"inference": windows}}, GPUS).model_dump(mode="json")
    assert rebased(slid, "table3/upernet_swin_t")["evaluation"]["inference"] == windows


@pytest.mark.parametrize("gpus", [8, 12, 16, 40])
def test_every_row_finds_gpus_that_divide_its_batch(gpus: int) -> None:
    """BEiT takes its batch in two parts: of 16 GPUs, one for each picture, it can use half."""
    first = parse_spec(BASE, Machines(gpus, 8 * gpus)).model_dump(mode="json")
    for name in recipes():
        spec = parse_spec(rebased(first, name))
        assert spec.resources == parse_spec({**BASE, "recipe": name}, Machines(gpus, 8 * gpus)).resources


def test_unknown_recipes_are_told_at_their_place() -> None:
    axis = {"pointer": "/recipe", "grid": ["table3/pspnet_r50", "table3/nothing"]}
    sweep = parse_sweep({"base": BASE, "axes": [axis]}, GPUS)
    with pytest.raises(SpecError) as caught:
        expand(sweep)
    assert {problem.pointer for problem in caught.value.problems} == {"/axes/0/grid/1"}


@pytest.mark.parametrize(("pointer", "value"), [("/recipe", "table3/pspnet_r50"), ("/variant", "mmseg")])
def test_recipes_need_one_in_the_base(pointer: str, value: str) -> None:
    small = {"dataset": "digit_scenes", "model": "small", "method": "baseline"}
    with pytest.raises(SpecError, match="/axes/0/pointer: the base names no recipe"):
        parse_sweep({"base": small, "axes": [{"pointer": pointer, "grid": [value]}]})


def test_a_row_without_a_recipe_is_refused() -> None:
    """It would be the base's recipe under another name."""
    axis = {"pointer": "/recipe", "grid": ["table3/pspnet_r50", None]}
    with pytest.raises(SpecError, match="/axes/0/grid/1: null names no recipe"):
        parse_sweep({"base": BASE, "axes": [axis]}, GPUS)


def test_variants_are_an_axis() -> None:
    """Each row has what its variant says, and neither is told to be changed."""
    axis = {"pointer": "/variant", "grid": ["paper", "mmseg"]}
    trials = expand(parse_sweep({"base": BASE, "axes": [axis]}, GPUS))
    assert [trial.spec.variant for trial in trials] == ["paper", "mmseg"]
    assert [trial.spec.schedule.weight_decay for trial in trials] == [1e-4, 5e-4]
    assert [changes(trial.spec.model_dump(mode="json")) for trial in trials] == [{}, {}]


def test_a_variant_that_there_is_not() -> None:
    axis = {"pointer": "/variant", "grid": ["paper", None]}
    with pytest.raises(SpecError, match=r"/axes/0/grid/1: .*/variant: null is not known"):
        expand(parse_sweep({"base": BASE, "axes": [axis]}, GPUS))


def test_a_base_on_cpus_is_refused_unless_asked_for() -> None:
    with pytest.raises(SpecError, match="/base/resources/gpus_per_worker"):
        parse_sweep({"base": BASE}, Machines(0, 8))
    parse_sweep({"base": {**BASE, "resources": {"gpus_per_worker": 0}}}, Machines(0, 8))


def options(*words: str) -> dict[str, Any]:
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--preset")
    add_preset_options(parser)
    return preset_document(parser.parse_args(words))


def test_options_of_a_preset() -> None:
    """What is asked for stands in the base, the rows in an axis."""
    asked = ("--preset", "table3", "--rows", "pspnet_r50", "--iterations", "20", "--cpu", "--seeds", "1")
    found = options(*asked, "--set", "/schedule/crop_size=[64,64]", "--set", "/name=mine")
    assert found["base"] == {
        "schedule": {"crop_size": [64, 64], "iterations": 20},
        "name": "mine",
        "resources": {"gpus_per_worker": 0},
        "method": {"kind": "baseline"},
        "recipe": "table3/pspnet_r50",
    }
    assert found["axes"] == [{"pointer": "/recipe", "grid": ["table3/pspnet_r50"]}]
    assert (found["seeds"], found["tags"]) == ([0], {"preset": "table3"})


def test_a_preset_in_several_modes(capsys: pytest.CaptureFixture[str]) -> None:
    """In the order given; a mode that is not known, none or one that comes twice is refused by its name."""
    found = options("--preset", "table1", "--modes", "multi_scale, single_scale")
    assert found["base"]["evaluation"] == {"modes": ["multi_scale", "single_scale"]}
    assert "evaluation" not in options("--preset", "table1")["base"]
    for words in ("ms", "", "single_scale,", "single_scale,single_scale"):
        with pytest.raises(SystemExit):
            options("--preset", "table1", "--modes", words)
        told = f"{words!r} is refused; allowed: each once of single_scale, multi_scale, multi_scale_native"
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--preset", "table9"), "'table9' is not known"),
        (("--preset", "table3", "--rows", "x"), "Table 3 has no row 'x'"),
        (("--preset", "table3", "--rows", ""), "Table 3 has no row ''"),
        (("--preset", "table3", "--rows", "pspnet_r50,"), "Table 3 has no row ''"),
        (("--preset", "table1", "--set", "schedule=1"), "'schedule' cannot be set"),
        (("--preset", "table3", "--set", "/recipe=x"), "'/recipe' cannot be set: --rows decides it"),
        (("--preset", "table3", "--set", "/seed=1"), "'/seed' cannot be set: --seeds decides it"),
        (("--preset", "table3", "--set", "/method/lambda=1"), "'/method/lambda' cannot be set"),
        (("--preset", "table1", "--set", "/a/b/c=1"), "'/a/b/c' cannot be set"),
        (
            ("--preset", "table1", "--set", "/schedule=1", "--iterations", "2"),
            "inside what is set as a whole",
        ),
    ],
)
def test_options_that_cannot_be_meant(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        options(*words)
