"""`python -m trainer.predict`: pictures labelled from checkpoint files alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.bad_pictures import DAMAGED, REFUSED, encoded, picture
from trainer.plan import Plan
from trainer.predict import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]
NAMED = ("PNG cut", "JPEG CMYK", "PNG 16 bits RGB", "APNG", "JPEG turned", "huge", "dot", "text")


def images_of(plan: Plan) -> Path:
    return Path(plan.data.root) / "images" / "val"


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_labels_are_those_that_were_scored(plans: tuple[Plan, Plan], final: Path, tmp_path: Path) -> None:
    """An id for each pixel at the picture's own size, never void; an overlay and a legend beside."""
    out = tmp_path / "out"
    pictures = sorted(images_of(plans[0]).iterdir())
    assert run(final, "--picture", *pictures, "--out", out) == 0
    names = [f"p{k}_{what}.png" for k in range(3) for what in ("labels", "overlay")]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "legend.png"])
    with Image.open(out / "p0_labels.png") as labels, Image.open(pictures[0]) as shown:
        assert (labels.mode, labels.size) == ("P", shown.size)
        assert np.asarray(labels).max() < len(plans[0].data.classes)
    with Image.open(out / "p0_overlay.png") as overlay, Image.open(pictures[0]) as shown:
        assert (overlay.mode, overlay.size) == ("RGB", shown.size)


def test_models_beside_each_other(plans: tuple[Plan, Plan], final: Path, tmp_path: Path) -> None:
    """Labels of each under its name, a comparison with the truth; without a name the experiment's."""
    other = final.parent.parent.parent / "e2" / "checkpoints" / "final.pth"
    truth = images_of(plans[0]).parent.parent / "annotations" / "val"
    pictures = sorted(images_of(plans[0]).iterdir())[:1]
    assert run(f"{final}=ours", other, "--picture", *pictures, "--truth", truth, "--out", tmp_path) == 0
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["legend.png", "p0_compare.png", "p0_e2_labels.png", "p0_e2_overlay.png",
                     "p0_ours_labels.png", "p0_ours_overlay.png"]  # fmt: skip


def test_the_legend_names_the_classes_of_the_truth(
    plans: tuple[Plan, Plan], final: Path, tmp_path: Path
) -> None:
    """A column of its own, also beside one model: comparisons have colours that no model has predicted."""
    picture = images_of(plans[0]) / "p0.png"
    truth = images_of(plans[0]).parent.parent / "annotations" / "val"
    assert run(final, "--picture", picture, "--out", tmp_path / "plain") == 0
    assert run(f"{final}=truth", "--picture", picture, "--truth", truth, "--out", tmp_path / "with") == 0
    with (
        Image.open(tmp_path / "plain" / "legend.png") as plain,
        Image.open(tmp_path / "with" / "legend.png") as named,
    ):
        assert named.width > plain.width
        assert named.height > plain.height


def test_one_stem_in_two_folders(plans: tuple[Plan, Plan], final: Path, tmp_path: Path) -> None:
    """Neither picture's labels replace the other's; what an earlier call has left is replaced."""
    paths = [tmp_path / "a" / "p0.png", tmp_path / "b" / "p0.png"]
    for path in paths:
        path.parent.mkdir()
        shutil.copy(images_of(plans[0]) / "p0.png", path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "a-p0_labels.png").write_text("old")
    assert run(final, "--picture", *paths, "--out", out) == 0
    assert (out / "a-p0_labels.png").read_bytes() == (out / "b-p0_labels.png").read_bytes()


def test_bad_pictures_are_told_and_the_others_done(
    plans: tuple[Plan, Plan], final: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each by its name, with what is wrong and what is allowed; nothing is left of it, exit code 1."""
    bad = []
    for number, name in enumerate(NAMED):
        ending, make, _ = REFUSED[name]
        bad.append(tmp_path / f"bad{number}{ending}")
        bad[-1].write_bytes(make())
    ending, make, damage = DAMAGED["JPEG cut"]
    (tmp_path / f"damaged{ending}").write_bytes(make())
    bad += [tmp_path / f"damaged{ending}", tmp_path / "missing.png", tmp_path]
    good = images_of(plans[0]) / "p0.png"
    out = tmp_path / "out"
    assert run(final, "--picture", *bad, good, "--out", out) == 1
    told = capfd.readouterr()
    for path in bad:
        [line] = [line for line in told.err.splitlines() if line.startswith(f"{path} ")]
        assert "allowed: " in line or path in bad[len(NAMED) :]
    assert damage in told.err
    assert f"1 of {len(bad) + 1} pictures labelled" in told.out
    assert sorted(path.name for path in out.iterdir()) == ["legend.png", "p0_labels.png", "p0_overlay.png"]


def test_nothing_done_leaves_nothing(final: Path, tmp_path: Path) -> None:
    """Not even the folder."""
    (tmp_path / "p.png").write_text("not a picture")
    assert run(final, "--picture", tmp_path / "p.png", "--out", tmp_path / "out") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, "cannot be read"),
        (Image.new("L", (9, 9)), "is 9×9; allowed: its picture's size, 64×48"),
        (Image.new("L", (64, 48), 7), "holds the ids 7"),
        (Image.new("RGB", (64, 48)), "is 8-bit RGB"),
    ],
)
def test_a_truth_that_does_not_fit(
    plans: tuple[Plan, Plan],
    final: Path,
    tmp_path: Path,
    mask: Image.Image | None,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Is told with its picture's, and nothing of the picture is written."""
    if mask is not None:
        mask.save(tmp_path / "m.png")
    picture_file = images_of(plans[0]) / "p0.png"
    assert run(final, "--picture", picture_file, "--truth", tmp_path / "m.png", "--out", tmp_path / "o") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_checkpoints_that_cannot_be_used(
    final: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut short, or of other classes: told before any picture is read, exit code 2."""
    cut = tmp_path / "cut.pth"
    cut.write_bytes(final.read_bytes()[:-1000])
    (tmp_path / "p.png").write_bytes(encoded(picture(), "PNG"))
    words = ("--picture", tmp_path / "p.png", "--out", tmp_path / "out")
    assert run(cut, *words) == 2
    assert "is cut short" in capsys.readouterr().err
    payload = torch.load(final, weights_only=True)
    payload["meta"]["dataset_meta"]["classes"] = ["sky", "road", "bus"]
    torch.save(payload, tmp_path / "bus.pth")
    assert run(final, f"{tmp_path / 'bus.pth'}=bus", *words) == 2
    assert "it lacks car and has bus" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["x.pth=a/b", "--picture", "p.png"], "the name 'a/b' is refused"),
        (["x.pth", "--picture", "p.png", "q.png", "--truth", "m.png"], "one file for several pictures"),
        (["x.pth", "--picture", "p.png", "--mode", "best"], "invalid choice: 'best'"),
    ],
)
def test_a_wrong_command_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Is told at once."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
