"""ADE20K and COCO-Stuff where mmsegmentation looks for them: found, refused, planned, trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data_factories import make_spec, make_task, write_public
from tests.factories import ListSink
from trainer.base.data_roots import NamedRoot
from trainer.base.errors import DataError, SpecError
from trainer.data.folders import resolve_spec
from trainer.data.splits import list_pairs
from trainer.plan import Plan, make_plan
from trainer.run.worker import train
from trainer.spec.data.datasets import DATASETS
from trainer.spec.spec import ExperimentSpec

TRAIN_IDS = "_labelTrainIds.png"
CROP = {"crop_size": [32, 32], "batch_size": 2, "iterations": 2}
SMALL = {"resize_base": [128, 64], "test_size": [128, 64]}


def spec_of(name: str, root: Path | None = None, **changes: Any) -> ExperimentSpec:
    given = {} if root is None else {"root": str(root)}
    return make_spec(dataset={"name": name, **given, **changes}, schedule=CROP, augmentation=SMALL)


def problems(spec: ExperimentSpec, *data_roots: Path) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecError) as caught:
        resolve_spec(spec, data_roots=data_roots)
    return [(each.pointer, each.got, each.allowed) for each in caught.value.problems]


def plan_of(spec: ExperimentSpec, storage: Path) -> Plan:
    return make_plan(make_task(resolve_spec(spec, data_roots=None), storage), lambda _: None)


def write(root: Path, name: str, *, ending: str | None = None, ids: Any = ((1, 2), (2, 0))) -> Path:
    """Two pictures to train on, one to score, in the layout of `name`; each id is a square of 8×8 pixels."""
    entry = DATASETS[name]
    mask = np.kron(np.asarray(ids), np.ones((8, 8), int))
    for field, number in (("train_split", 2), ("eval_split", 1)):
        masks = [mask] * number
        write_public(root, entry.default(field), ending or entry.layout.mask_ending, masks)
    return root


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("ade20k", "ade20k"),
        ("ade20k", "ADEChallengeData2016"),
        ("ade20k", "ade/ADEChallengeData2016"),
        ("cocostuff164k", "coco_stuff164k"),
        ("cocostuff10k", "cocostuff10k"),
    ],
)
def test_found_in_a_data_root(tmp_path: Path, name: str, below: str) -> None:
    """Without a root: below a data root under a usual name, or the data root that has such a name."""
    (tmp_path / "empty" / below).mkdir(parents=True)
    root = write(tmp_path / "data" / below, name)
    for data_root in (tmp_path / "data", root):
        resolved = resolve_spec(spec_of(name), data_roots=[tmp_path / "empty", data_root])
        assert resolved.dataset.root == str(root)  # type: ignore[union-attr]
    assert resolved.dataset.frequency_table == name  # type: ignore[union-attr]


def test_found_in_a_data_root_with_a_name(tmp_path: Path) -> None:
    """What is stored is the name, so that it runs where another deployment has the data; a path that was
    given stays a path. Of a root in a root the inner one's name is taken, also behind a link.
    """
    root = write(tmp_path / "data/sets/ade20k", "ade20k")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    outer, inner = NamedRoot("all", tmp_path / "link"), NamedRoot("ade", root)
    unnamed = tmp_path / "data/sets"
    for data_roots, stored in (
        ([outer, unnamed], "data:all/sets/ade20k"),
        ([outer, inner], "data:ade"),
        ([NamedRoot("other", tmp_path / "elsewhere"), unnamed], str(root)),
    ):
        resolved = resolve_spec(spec_of("ade20k"), data_roots=data_roots)
        assert resolved.dataset.root == stored  # type: ignore[union-attr]
        assert resolve_spec(resolved, data_roots=data_roots) == resolved
        given = resolve_spec(spec_of("ade20k", root), data_roots=data_roots)
        assert given.dataset.root == str(root)  # type: ignore[union-attr]


def test_not_found_in_a_data_root(tmp_path: Path) -> None:
    """A directory of another name is not guessed to be ADE20K; a link out of a data root is not followed."""
    root = write(tmp_path / "mine", "ade20k")
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "ade20k").symlink_to(root)
    for data_root in (root, tmp_path / "roots"):
        ((pointer, got, _),) = problems(spec_of("ade20k"), data_root)
        assert pointer == "/dataset/root"
        assert "no allowed data root is ade20k or holds it as `ade20k` or `ADEChallengeData2016`" in got
    assert problems(spec_of("ade20k", root), tmp_path / "roots")[0][1].endswith(
        "outside the allowed data roots"
    )


def test_missing_and_foreign_splits(tmp_path: Path) -> None:
    """What is missing is told at its split, with those there are, or with who makes them."""
    root = write(tmp_path / "a", "ade20k")
    (root / "annotations" / "validation").rename(root / "annotations" / "val")
    assert problems(spec_of("ade20k", root), tmp_path) == [
        ("/dataset/eval_split", "there is no directory annotations/validation", "training")
    ]
    found = problems(spec_of("cocostuff164k", root), tmp_path)
    assert [pointer for pointer, *_ in found] == ["/dataset/train_split", "/dataset/eval_split"]
    assert "there is no directory images/train2017 or annotations/train2017" in found[0][1]
    for _, _, allowed in problems(spec_of("cocostuff10k", write_raw_10k(tmp_path)), tmp_path):
        assert "coco_stuff10k.py with ids 1 to 171" in allowed


def write_raw_10k(directory: Path) -> Path:
    """The release as it is unpacked: no splits, and labels that are MATLAB files."""
    root = directory / "raw10k"
    for part, name in (("images", "COCO_train2014_1.jpg"), ("annotations", "COCO_train2014_1.mat")):
        (root / part).mkdir(parents=True)
        (root / part / name).write_bytes(b"x")
    return root


def test_raw_maps_are_refused(tmp_path: Path) -> None:
    """Maps of the release alone: how many, the first ones, what makes masks of them; also where some are."""
    root = write(tmp_path, "cocostuff164k", ending=".png")
    (pointer, got, allowed), _ = problems(spec_of("cocostuff164k", root), tmp_path)
    assert pointer == "/dataset/train_split"
    assert got == f"2 raw maps (p0.png, p1.png) without a mask NAME{TRAIN_IDS} made of it"
    assert "coco_stuff164k.py with ids 0 to 170 and 255" in allowed
    masks = root / "annotations" / "train2017"
    (masks / f"p0{TRAIN_IDS}").write_bytes((masks / "p0.png").read_bytes())
    (masks / "p2.png").write_bytes((masks / "p0.png").read_bytes())  # of no picture: nobody asks
    with pytest.raises(DataError, match=r"'train2017': 1 raw map \(p1\.png\) without a mask"):
        list_pairs(root, "train2017", mask_ending=TRAIN_IDS)
    (masks / "p1.png").unlink()
    with pytest.raises(DataError, match=r"'train2017': 1 picture \(p1\.jpg\) without a mask$"):
        list_pairs(root, "train2017", mask_ending=TRAIN_IDS)


def test_raw_ids_in_masks_are_told(tmp_path: Path) -> None:
    """Raw maps that were only renamed end the job, with how masks are made, and no word that there is not."""
    root = write(tmp_path / "d", "cocostuff164k", ids=((181, 2), (2, 255)))
    with pytest.raises(DataError, match="other than 0 to 170, 255") as caught:
        plan_of(spec_of("cocostuff164k", root), tmp_path / "s")
    assert "How the masks of cocostuff164k are made: docs/datasets.md" in str(caught.value)
    assert "label_map" not in str(caught.value)


def test_cocostuff10k_as_converted(tmp_path: Path) -> None:
    """Ids 1 to 171 are classes 0 to 170, 0 and 255 are void; the raw maps beside are no masks."""
    root = write(tmp_path / "d", "cocostuff10k", ids=((1, 171), (0, 255)))
    (root / "annotations" / "train2014" / "p0.png").write_bytes(b"not looked at")
    plan = plan_of(spec_of("cocostuff10k", root, frequency_table=None), tmp_path / "s")
    counts = plan.frequencies
    assert (counts.source, counts.pixel[0], counts.pixel[170], sum(counts.pixel)) == (
        "counted",
        128,
        128,
        256,
    )
    assert (plan.data.train_split, plan.data.eval_split, plan.data.train_images) == (
        "train2014",
        "test2014",
        2,
    )
    for loader in ("train_dataloader", "val_dataloader"):
        assert plan.config[loader]["dataset"]["mask_ending"] == TRAIN_IDS
    assert "table_of_other_pictures" not in {notice.code for notice in plan.notices}


def test_oddities_are_no_faults(tmp_path: Path) -> None:
    """Greyscale pictures, suffixes in upper case, much void, other and small sizes: read, and two told."""
    root = write(tmp_path / "d", "ade20k", ids=((0, 0, 0), (0, 1, 0)))
    images, masks = (root / part / "training" for part in ("images", "annotations"))
    Image.new("L", (24, 16), 7).save(images / "p0.jpg")
    (images / "p1.jpg").rename(images / "p1.JPG")
    (masks / "p1.png").rename(masks / "p1.PNG")
    Image.new("L", (9, 300), 7).save(images / "grey.jpg")
    Image.new("L", (9, 300), 150).save(masks / "grey.png")
    plan = plan_of(spec_of("ade20k", root), tmp_path / "s")
    assert plan.data.train_images == 3
    told = [notice for notice in plan.notices if notice.code in {"greyscale_pictures", "much_void"}]
    assert [notice.code for notice in told] == ["much_void", "greyscale_pictures"]
    assert told[1].text.startswith("2 of 4 pictures (training and validation) are greyscale")
    hints = [notice.hint or "" for notice in plan.notices]
    assert not any("label_map" in hint or "zero_is_void" in hint for hint in hints)


def test_a_crop_larger_than_the_pictures(tmp_path: Path) -> None:
    """Small pictures are padded: those of a public data set are no reason to refuse a crop."""
    root = write(tmp_path / "d", "ade20k")
    native = {"resize_base": "native", "test_size": "native"}
    crop = {**CROP, "crop_size": [512, 512]}
    spec = make_spec(dataset={"name": "ade20k", "root": str(root)}, schedule=crop, augmentation=native)
    assert resolve_spec(spec, data_roots=[tmp_path]).dataset.root == str(root)  # type: ignore[union-attr]


@pytest.fixture
def sample(request: pytest.FixtureRequest, shared_data: Path) -> tuple[str, Path]:
    """(name, root) of real pictures."""
    name, directory = request.param
    root = shared_data / directory
    if not (root / "annotations" / DATASETS[name].default("train_split")).is_dir():
        pytest.skip(f"no {directory} in {shared_data}")
    return name, root


BOTH = pytest.mark.parametrize(
    "sample", [("ade20k", "ade20k_tiny"), ("cocostuff164k", "cocostuff_tiny")], indirect=True
)
SEEN = {
    "ade20k": "on 20210 pictures; split 'training' has 22 pictures with 69 of the 150 classes",
    "cocostuff164k": "on 118287 pictures; split 'train2017' has 13 pictures with 57 of the 171 classes",
}


@BOTH
def test_real_samples_take_the_packaged_table(sample: tuple[str, Path], tmp_path: Path) -> None:
    """Frequencies are the whole set's, and one notice says of how many pictures; null counts the sample."""
    name, root = sample
    plan = plan_of(spec_of(name, root), tmp_path)
    assert plan.frequencies.source == f"table {name}"
    assert len(plan.data.classes) == len(plan.frequencies.pixel)
    (notice,) = [each for each in plan.notices if each.code == "table_of_other_pictures"]
    assert notice.text.endswith(SEEN[name])
    counted = plan_of(spec_of(name, root, frequency_table=None), tmp_path)
    assert counted.frequencies.source == "counted"
    assert f"{sum(n > 0 for n in counted.frequencies.pixel)} of the" in SEEN[name]
    assert all(each.code != "table_of_other_pictures" for each in counted.notices)


@pytest.mark.slow
@BOTH
def test_real_samples_train(sample: tuple[str, Path], tmp_path: Path, one_thread: None) -> None:
    """Two steps and an evaluation; the checkpoint to deploy has the data set's own classes and colours."""
    name, root = sample
    plan = plan_of(spec_of(name, root), tmp_path)
    result = train(plan, ListSink())
    assert result.eval_images == plan.data.eval_images
    path = plan.layout.checkpoints(plan.experiment).local / "final.pth"
    meta = torch.load(path, weights_only=True)["meta"]["dataset_meta"]
    entry = DATASETS[name]
    assert entry.palette is not None
    assert meta == {"classes": list(entry.classes or ()), "palette": [list(each) for each in entry.palette]}
