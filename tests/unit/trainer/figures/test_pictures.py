"""Figures 9 to 12: which pictures, which windows, and what is drawn where files are damaged."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainer.figures.studies import BASE, BETTER, RR, leave, report_of
from trainer.drawing.disagreement import windows
from trainer.drawing.labels import label_png
from trainer.drawing.palette import distinct_colours
from trainer.figures.catalogue import KINDS
from trainer.figures.charts.pictures import boxes_of
from trainer.figures.figure import Absent, Figure, as_png, figure_of
from trainer.figures.rows.pictures import kept_pictures
from trainer.figures.rows.row import Missing
from trainer.figures.sources import source_at, study_of
from trainer.figures.study import Study

SIZE = 40, 60  # height, width


def test_windows_hold_the_most_and_do_not_overlap() -> None:
    """Greatest first, of equals the upper left one; where nothing is left there is none."""
    where = np.zeros((8, 8), np.bool_)
    where[1, 5] = where[6, 6] = where[6, 7] = True
    assert windows(where, 3) == [(6, 5, 8, 7), (4, 0, 6, 2)]
    assert windows(np.zeros((8, 8), np.bool_), 3) == []
    assert windows(np.ones((8, 8), np.bool_), 2) == [(0, 0, 2, 2), (2, 0, 4, 2)]


@pytest.mark.parametrize("seed", range(5))
def test_windows_equal_a_search_of_all(seed: int) -> None:
    """The first is that of every place looked at by hand."""
    where = np.random.default_rng(seed).random((13, 17)) < 0.2
    height, width = 3, 4
    best = max(
        ((int(where[y : y + height, x : x + width].sum()), -y, -x) for y in range(11) for x in range(14)),
    )
    (found,) = windows(where, 1)
    assert found == (-best[2], -best[1], -best[2] + width, -best[1] + height)


def test_boxes_count_where_exactly_one_is_right() -> None:
    """Pixels where both are wrong, or both right, count for nothing."""
    truth = np.zeros(SIZE, np.uint8)
    ours, other = truth.copy(), truth.copy()
    ours[:20, :30] = other[:20, :30] = 1  # both wrong
    other[30:, 45:] = 1
    assert boxes_of(ours, other, truth) == [(45, 30, 60, 40)]


def test_pictures_with_most_settings_come_first(tmp_path: Path) -> None:
    """Then the largest share; a follow-up in another mode, or against a stranger, gives none."""
    study = kept_study(tmp_path, {"r0": {"a": 0.2, "b": 0.5}, "s0": {"a": 0.3}})
    assert [(one.name, [each.label for each in one.settings]) for one in kept_pictures(study)] == [
        ("a", ["region_rebalance", "focal"]),
        ("b", ["region_rebalance"]),
    ]
    assert kept_pictures(study)[0].most.label == "focal"
    strangers = kept_study(tmp_path / "2", {"r0": {"a": 0.2}}, against="nobody")
    assert isinstance(KINDS["figure9"].rows(strangers), Missing)
    other_mode = kept_study(tmp_path / "3", {"r0": {"a": 0.2}}, mode="multi_scale")
    assert isinstance(KINDS["figure9"].rows(other_mode), Missing)


def test_they_are_drawn(tmp_path: Path) -> None:
    """Five panels and the colours of the classes."""
    figure = figure_of(kept_study(tmp_path, {"r0": {"a": 0.2}, "s0": {"a": 0.3}}), KINDS["figure9"])
    assert isinstance(figure, Figure)
    assert figure.chart is None
    assert Image.open(io.BytesIO(as_png(figure))).height > 200
    assert [(row["picture"], row["setting"], row["share"]) for row in figure.rows] == [
        ("a", "region_rebalance", 20.0),
        ("a", "focal", 30.0),
    ]


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_what_is_damaged_is_not_drawn(tmp_path: Path, content: bytes | None) -> None:
    """The report stands without the figure, and says what it would need."""
    study = kept_study(tmp_path, {"r0": {"a": 0.2}})
    (file,) = tmp_path.rglob("a_truth.png")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert isinstance(figure_of(study, KINDS["figure9"]), Absent)


def test_no_file_outside_the_folder_is_read(tmp_path: Path) -> None:
    """A name with a path in it is no file's."""
    study = kept_study(tmp_path, {"r0": {"a": 0.2}}, truth="../../../1/report.json")
    assert isinstance(KINDS["figure9"].rows(study), Missing)


def kept_study(
    storage: Path,
    shares: dict[str, dict[str, float]],
    *,
    against: str = "b0",
    mode: str = "single_scale",
    truth: str | None = None,
) -> Study:
    """b0 the baseline, r0 region rebalance, s0 focal; each has kept pictures with these shares."""
    specs = {"b0": (BASE, {}), "r0": (BETTER, {"method": RR}), "s0": (BETTER, {"method": "focal"})}
    paths = [leave(storage, report_of(name, matrix, **spec)) for name, (matrix, spec) in specs.items()]
    for name, pictures in shares.items():
        folder = storage / "runs" / name / "followups" / "f" / "pictures"
        folder.mkdir(parents=True)
        told = {"against": against, "mode": mode, "dataset": "d", "rule": "r"}
        entries = [keep(folder, picture, share, truth) for picture, share in pictures.items()]
        (folder / "pictures.json").write_text(json.dumps({**told, "pictures": entries}))
    return study_of([source_at(path) for path in paths])


def keep(folder: Path, name: str, share: float, truth: str | None) -> dict[str, object]:
    """A picture's files as an evaluation keeps them."""
    labels = np.zeros(SIZE, np.uint8)
    labels[10:, 20:] = 1
    colours = distinct_colours(3)
    Image.new("RGB", SIZE[::-1], (90, 120, 30)).save(folder / f"{name}_picture.png")
    for part, ids in (
        ("truth", labels),
        ("ours", labels.T[:40, :60] if False else labels),
        ("other", 1 - labels),
    ):
        (folder / f"{name}_{part}.png").write_bytes(label_png(ids, colours))
    files = {part: f"{name}_{part}.png" for part in ("picture", "truth", "ours", "other")}
    if truth is not None:
        files["truth"] = truth
    return {"name": name, "share": share, "files": files, "boxes": [[0, 0, 5, 5]]}
