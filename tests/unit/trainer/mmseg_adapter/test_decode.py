"""Pictures are decoded strictly, and as training will read them."""

from __future__ import annotations

import shutil
from pathlib import Path

import mmcv
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from tests.bad_pictures import DAMAGED, GOOD, REFUSED
from tests.data_factories import make_spec, make_task, write_folder, write_pair
from trainer.base.errors import DataError
from trainer.data.folders import resolve_spec
from trainer.data.headers import Header, picture_header, read_header
from trainer.mmseg_adapter.data import PairedFolder
from trainer.mmseg_adapter.decode import decode_strictly
from trainer.mmseg_adapter.model.config import revive
from trainer.plan import Plan, make_plan
from trainer.results.report import AttemptReport
from trainer.run.attempt import Attempt


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What libjpeg or libpng warn of is a reason, though OpenCV or Pillow would make a picture of it."""
    ending, make, words = DAMAGED[name]
    path = tmp_path / f"p{ending}"
    path.write_bytes(make())
    assert isinstance(read_header(path, picture_header), Header), "its header tells nothing"
    found = decode_strictly(str(path))
    capfd.readouterr()
    assert isinstance(found, str)
    assert words in found


@pytest.mark.parametrize("name", GOOD)
def test_the_loader_reads_what_pil_says(tmp_path: Path, name: str) -> None:
    """What passes is the same picture to Pillow and to mmcv, pixel by pixel."""
    ending, make = GOOD[name]
    path = tmp_path / f"p{ending}"
    path.write_bytes(make())
    header = decode_strictly(str(path))
    assert isinstance(header, Header)
    loaded = mmcv.imfrombytes(path.read_bytes(), flag="color", backend="cv2")
    assert loaded.shape == (*header.size, 3)
    with Image.open(path) as said:
        pixels = np.asarray(said.convert("RGB"))
    assert np.abs(loaded[..., ::-1].astype(int) - pixels).max() <= 1
    if header.grey:
        assert (loaded == loaded[..., :1]).all(), "three equal channels"


@pytest.mark.parametrize("name", REFUSED)
def test_what_headers_refuse_is_refused_again(tmp_path: Path, name: str) -> None:
    """A file that changed since the spec was posted is told when the job starts."""
    ending, make, _ = REFUSED[name]
    path = tmp_path / f"p0{ending}"
    path.write_bytes(make())
    assert isinstance(decode_strictly(str(path)), str)


def plan(root: Path, storage: Path, **dataset: object) -> Plan:
    folder = {"name": "folder", "root": str(root)} | dataset
    spec = make_spec(dataset=folder, schedule={"crop_size": [32, 32]})
    resolved = resolve_spec(spec, data_roots=None)
    return make_plan(make_task(resolved, storage), print)


def test_all_offenders_are_named_before_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Damaged pictures of both splits and bad masks are told in one message, and nothing is kept."""
    root = write_folder(tmp_path / "d")
    for split in ("train", "val"):
        (root / "images" / split / "p0.png").unlink()
        (root / "images" / split / "p0.jpg").write_bytes(DAMAGED["JPEG cut and closed"][1]())
    Image.fromarray(np.full((32, 48), 77, np.uint8)).save(root / "annotations" / "train" / "p1.png")
    with pytest.raises(DataError) as caught:
        plan(root, tmp_path / "s")
    capfd.readouterr()
    text = str(caught.value)
    assert "images/train: 1 of 2 pictures cannot be used, first: p0.jpg: is damaged" in text
    assert "images/val: 1 of 1 picture cannot be used, first: p0.jpg" in text
    assert "p1.png (id 77)" in text
    assert not list((tmp_path / "s").rglob("pictures/*.json"))


def test_greyscale_pictures_are_noticed(tmp_path: Path) -> None:
    """Their number is a notice of the plan, and so of the report; without them there is none."""
    root = write_folder(tmp_path / "d")
    assert plan(root, tmp_path / "s").notices == ()
    Image.new("L", (48, 32), 90).save(root / "images" / "train" / "p1.png")
    (notice,) = plan(root, tmp_path / "s").notices
    assert notice.code == "greyscale_pictures"
    assert notice.text.startswith("1 of 3 pictures (train and val) are greyscale")


def test_one_split_for_both_is_noticed(tmp_path: Path) -> None:
    """Scores on the pictures that were trained on are said to be that."""
    root = write_folder(tmp_path / "d")
    (notice,) = plan(root, tmp_path / "s", eval_split="train").notices
    assert notice.code == "scored_on_training"


def test_copies_are_looked_at_anew(tmp_path: Path) -> None:
    """A copy has other inodes: what was found of the original is not used for it."""
    root = write_folder(tmp_path / "d")
    plan(root, tmp_path / "s")
    shutil.copytree(root, tmp_path / "copy")
    plan(tmp_path / "copy", tmp_path / "s")
    assert len(list((tmp_path / "s" / "pictures").iterdir())) == 4


def attempt(root: Path, storage: Path) -> Attempt:
    spec = make_spec(dataset={"name": "folder", "root": str(root)}, schedule={"crop_size": [32, 32]})
    return Attempt(make_task(spec, storage))


def test_an_attempt_ends_before_its_first_iteration(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its report names the damaged file, it is not tried again, and nothing was trained."""
    root = write_folder(tmp_path / "d")
    (root / "images" / "val" / "p0.png").unlink()
    (root / "images" / "val" / "p0.jpg").write_bytes(DAMAGED["JPEG cut"][1]())
    begun = attempt(root, tmp_path / "s")

    def work(this: Attempt):  # type: ignore[no-untyped-def]
        this.prepare()
        pytest.fail("training began")

    report = begun.run(work)
    capfd.readouterr()
    assert isinstance(report, AttemptReport)
    assert report.state == "failed"
    assert report.error is not None
    assert (report.error.type, report.error.retryable) == ("DataError", False)
    assert "p0.jpg: is damaged: Premature end of JPEG file" in report.error.message
    assert not begun.dir.metrics.exists()


def test_greyscale_pictures_stand_in_the_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As a notice of the attempt, which the report takes over."""
    root = write_folder(tmp_path / "d")
    Image.new("L", (48, 32), 90).save(root / "images" / "val" / "p0.png")
    begun = attempt(root, tmp_path / "s")
    begun.prepare()
    capfd.readouterr()
    assert "greyscale_pictures" in [each.code for each in begun.report().notices]


@pytest.mark.parametrize("size", [(2, 2), (2, 900), (900, 2), (12, 20)])
def test_the_smallest_pictures_can_be_trained_on(tmp_path: Path, size: tuple[int, int]) -> None:
    """Two pixels a side are enough: picture and mask keep their axes, and fit, in both pipelines."""
    root = write_folder(tmp_path / "d")
    for split in ("train", "val"):
        write_pair(root, split, "small", np.arange(size[0] * size[1]).reshape(size) % 3)  # the last by name
    config = revive(plan(root, tmp_path / "s").config)
    with DefaultScope.overwrite_default_scope("mmseg"):
        for loader, draws in (("train_dataloader", 5), ("val_dataloader", 1)):
            options = dict(config[loader]["dataset"])
            options.pop("type")
            dataset = PairedFolder(**options)
            for position in range(draws):
                sample = dataset[position * len(dataset) + len(dataset) - 1]
                mask = sample["data_samples"].gt_sem_seg.data
                assert mask.shape == (1, *sample["inputs"].shape[1:])
    assert mask.shape == (1, *size)
