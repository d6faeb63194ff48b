"""`zero_is_void` and `label_map`: the same classes in counts, training, evaluation and caches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_factories import CLASSES, make_spec, make_task, spec_document, write_folder
from trainer.base.errors import DataError, SpecError
from trainer.count import main
from trainer.data.folders import resolve_spec
from trainer.data.frequency import count_splits
from trainer.data.prepare import prepare
from trainer.plan import Plan, make_plan
from trainer.spec.data.label_map import as_stored, ids_in_words, map_of, zero_is_void
from trainer.spec.spec import canonical_json, parse_spec, spec_hash
from trainer.storage.layout import Storage

WANTED = np.random.default_rng(0).choice([0, 1, 2, 255], size=(2, 32, 48), p=[0.4, 0.4, 0.1, 0.1])
BOUNDS = "an integer, 0 <= label_map[7] <= 255 or null"
LOADING = ("LoadImageFromFile", "LoadAnnotations", "MapLabels")
STORED = {  # how WANTED is stored, and the option that reads it
    "as stored": ({0: 0, 1: 1, 2: 2, 255: 255}, {}),
    "zero is void": ({0: 1, 1: 2, 2: 3, 255: 0}, {"zero_is_void": True}),
    "mapped": (
        {0: 40, 1: 7, 2: 255, 255: 0},
        {"label_map": {"40": 0, "7": 1, "255": 2, "0": None, "9": 255}},
    ),
}


def document(root: Path, **options: Any) -> dict[str, Any]:
    return spec_document(
        dataset={"name": "folder", "root": str(root), **options}, schedule={"crop_size": [32, 32]}
    )


def stored(root: Path, ids: Mapping[int, int]) -> Path:
    masks = [np.vectorize(ids.get)(mask).astype(np.uint8) for mask in WANTED]
    return write_folder(root, {"train": masks, "val": masks[:1]})


def planned(root: Path, storage: Path, **options: Any) -> Plan:
    spec = resolve_spec(parse_spec(document(root, **options)), data_roots=None)
    return make_plan(make_task(spec, storage), print)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORED)
def test_counts_and_loaded_masks_are_those_of_the_classes(name: str, tmp_path: Path) -> None:
    """However masks are stored: pixels, pictures, training labels and scored labels are the wanted ones."""
    from mmengine.registry import DefaultScope, init_default_scope

    from trainer.mmseg_adapter.data import PairedFolder
    from trainer.mmseg_adapter.model.config import revive

    ids, options = STORED[name]
    plan = Plan.model_validate_json(
        planned(stored(tmp_path / "d", ids), tmp_path / "s", **options).model_dump_json()
    )
    assert plan.frequencies.pixel == tuple(int(np.count_nonzero(np.equal(WANTED, k))) for k in range(3))
    assert plan.frequencies.region == (2, 2, 2)
    assert plan.notices == ()
    if DefaultScope.get_current_instance() is None:
        init_default_scope("mmseg")
    for loader, masks in (("train_dataloader", WANTED), ("val_dataloader", WANTED[:1])):
        given = revive(plan.config[loader]["dataset"])
        loading = [step for step in given["pipeline"] if step["type"] in LOADING]
        assert len(loading) == 3
        rest = {key: value for key, value in given.items() if key not in ("type", "pipeline", "test_mode")}
        data = PairedFolder(**rest, pipeline=loading, test_mode=True)
        loaded = [data[k]["gt_seg_map"] for k in range(len(masks))]
        assert np.array_equal(loaded, masks)


def test_two_ids_of_one_class_are_one_region(tmp_path: Path) -> None:
    """A picture that holds both counts once; pixels add."""
    mask = np.array([[4, 5], [5, 0]] * 16, np.uint8)
    root = write_folder(tmp_path / "d", {"train": [np.tile(mask, 16)] * 2, "val": [np.tile(mask, 16)]})
    plan = planned(root, tmp_path / "s", label_map={"4": 1, "5": 1, "0": 2})
    assert plan.frequencies.pixel == (0, 2 * 24 * 32, 2 * 8 * 32)
    assert plan.frequencies.region == (0, 2, 2)


def test_another_map_is_another_count(tmp_path: Path) -> None:
    """The kept count of one map is never that of another, nor of none."""
    root, storage = stored(tmp_path / "d", STORED["as stored"][0]), tmp_path / "s"
    swap = {"0": 1, "1": 0, "2": 2, "255": None}
    plain = planned(root, storage).frequencies
    swapped = planned(root, storage, label_map=swap).frequencies
    assert swapped.pixel == (plain.pixel[1], plain.pixel[0], plain.pixel[2])
    assert planned(root, storage).frequencies == plain
    assert len(list((storage / "frequencies").iterdir())) == 4


def test_an_id_that_the_map_does_not_name_is_refused(tmp_path: Path) -> None:
    """255 as well: the error names id, masks and what to add; the loader refuses it on its own."""
    from trainer.mmseg_adapter.transforms import MapLabels

    root = stored(tmp_path / "d", STORED["as stored"][0])
    with pytest.raises(DataError, match=r"other than 0 to 2: 255 .*p0\.png .*\{\"255\": null\} for void"):
        planned(root, tmp_path / "s", label_map={"0": 0, "1": 1, "2": 2})
    loaded = {"gt_seg_map": np.array([[0, 9]], np.uint8), "seg_map_path": "m.png"}
    with pytest.raises(DataError, match=r"m\.png holds the ids 9; allowed: 0"):
        MapLabels(1, map_of({"0": 0})).transform(loaded)


def test_the_default_changes_nothing() -> None:
    """A spec without the options is stored, hashed and rendered as before there were any."""
    plain = parse_spec(document(Path("/x")))
    assert "zero_is_void" not in canonical_json(plain)
    assert "label_map" not in canonical_json(plain)
    assert parse_spec(document(Path("/x"), zero_is_void=False, label_map=None)) == plain
    whole = make_spec(dataset={"name": "folder", "root": "/x"})
    assert spec_hash(whole) == "2d0f90ca523abbdaee5de2d8994b9aee3e0eb6da07b4a95ad0919f75bbf1e899"
    mapped = parse_spec(document(Path("/x"), label_map={"1": 0}))
    assert parse_spec(json.loads(canonical_json(mapped))) == mapped
    assert spec_hash(mapped) != spec_hash(plain)


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"zero_is_void": True, "label_map": {"0": 0}},
         ["/dataset/zero_is_void: is given beside /dataset/label_map; allowed: one of the two",
          "/dataset/label_map: is given beside /dataset/zero_is_void; allowed: one of the two"]),
        ({"label_map": {}},
         ["/dataset/label_map: has 0 items; allowed: an object of 1 to 256 entries or null"]),
        ({"label_map": {"256": 0, "01": 0}},
         [f"/dataset/label_map/{key}: is not a key that may be used; allowed: a string with an integer"
          " from 0 to 255" for key in ("256", "01")]),
        ({"label_map": {"7": 256}},
         [f"/dataset/label_map/7: 256 is above the maximum; allowed: {BOUNDS}"]),
        ({"label_map": {"0": 0, "7": 3}},
         ["/dataset/label_map/7: 3 is no class; allowed: 0 to 2 as in classes.txt, null or 255 for void"]),
        ({"label_map": {"0": None, "7": 255}},
         ["/dataset/label_map: makes every id void; allowed: at least one id with a class"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_at_post(
    options: dict[str, Any], problems: list[str], tmp_path: Path
) -> None:
    """With a pointer to each mistake, the classes known."""
    root = write_folder(tmp_path / "d")
    with pytest.raises(SpecError) as refused:
        resolve_spec(parse_spec(document(root, **options)), data_roots=None)
    assert [str(problem) for problem in refused.value.problems] == problems


def test_255_classes_leave_no_zero(tmp_path: Path) -> None:
    """Ids 1 to 254 are all there are beside 0 and 255."""
    root = write_folder(tmp_path / "d", classes=[f"c{k}" for k in range(255)])
    with pytest.raises(SpecError, match=r"/dataset/zero_is_void: leaves 254 ids, and .* 255 classes"):
        resolve_spec(parse_spec(document(root, zero_is_void=True)), data_roots=None)


def test_ids_in_words() -> None:
    """Runs of ids, void told apart."""
    assert ids_in_words(as_stored(11)) == "0 to 10, 255 (void)"
    assert ids_in_words(zero_is_void(2)) == "0 (void), 1 to 2, 255 (void)"
    assert ids_in_words(map_of({"9": 0, "3": None, "4": 255, "200": 1})) == "3 to 4 (void), 9, 200"


def test_the_counter_takes_both_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m trainer.count` counts as a job does, and finds what it kept; what is wrong is one line."""
    ids, options = STORED["mapped"]
    root = stored(tmp_path / "d", ids)
    spec = resolve_spec(parse_spec(document(root, **options)), data_roots=None)
    kept = Storage(tmp_path / "kept" / "storage")
    train, _ = count_splits(prepare(spec.dataset, kept, print), kept)
    flags = [str(root), "--data-dir", str(tmp_path / "kept"), "--json"]
    assert main([*flags, "--label-map", json.dumps(options["label_map"])]) == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(row["pixel_frequency"] for row in found["classes"]) == train.frequencies.pixel
    assert len(kept.frequencies.names()) == 2
    zero_root = stored(tmp_path / "z", STORED["zero is void"][0])
    assert main([str(zero_root), *flags[1:], "--zero-is-void"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == found["classes"]
    for wrong, words in (
        (["--label-map", "{"], "--label-map: '{' is refused"),
        (["--label-map", '{"0": 9}'], "/dataset/label_map/0: 9 is no class"),
        (["--label-map", '{"0": 0}', "--zero-is-void"], "one of the two"),
    ):
        assert main([*flags, *wrong]) == 2
        assert words in capsys.readouterr().err
    assert {row["class_name"] for row in found["classes"]} == set(CLASSES)
