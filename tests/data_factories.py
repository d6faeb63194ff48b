"""Small real inputs for tests: folder data sets on disk, specs, reports."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from trainer.results.from_counts import make_scores
from trainer.results.metrics import ClassCounts, Counts
from trainer.results.report import AttemptReport, AttemptResult, Scores
from trainer.results.split_counts import SplitCounts
from trainer.spec.spec import ExperimentSpec, parse_spec
from trainer.task import Task

CLASSES = ("road", "tree", "car")


def spec_document(**changes: Any) -> dict[str, Any]:
    """The smallest document of an experiment, with `changes` at its top."""
    return {"dataset": "digit_scenes", "model": "small", "method": "baseline", **changes}


def make_spec(**changes: Any) -> ExperimentSpec:
    """The spec of `spec_document`."""
    return parse_spec(spec_document(**changes))


def make_task(spec: ExperimentSpec, storage: Path, **changes: Any) -> Task:
    """The first attempt at experiment e, untracked."""
    return Task(**{"experiment": "e", "attempt": 1, "spec": spec, "storage": str(storage), **changes})


def confusion(
    prediction: npt.ArrayLike, target: npt.ArrayLike, *, num_classes: int, ignore_index: int
) -> Counts:
    """(K, K) int64 pixel counts, rows = target class, columns = predicted class; ignored pixels nowhere."""
    predicted = np.asarray(prediction).reshape(-1)
    wanted = np.asarray(target).reshape(-1)
    valid = wanted != ignore_index
    cells = wanted[valid].astype(np.int64) * num_classes + predicted[valid].astype(np.int64)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def write_pair(
    root: Path,
    split: str,
    stem: str,
    ids: np.ndarray[Any, Any],
    *,
    suffix: str = ".png",
    palette: bool = False,
) -> None:
    """A grey picture and its mask of `ids` (H, W) uint8."""
    for part in ("images", "annotations"):
        (root / part / split).mkdir(parents=True, exist_ok=True)
    picture = np.full((*ids.shape, 3), 128, np.uint8)
    Image.fromarray(picture).save(root / "images" / split / f"{stem}{suffix}")
    mask = Image.fromarray(ids.astype(np.uint8))
    if palette:
        mask.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
    mask.save(root / "annotations" / split / f"{stem}.png")


def write_folder(
    root: Path,
    splits: Mapping[str, Sequence[np.ndarray[Any, Any]]] | None = None,
    *,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """A folder data set; by default two 32×48 pictures in train and one in val, with every class."""
    plain = np.arange(32 * 48).reshape(32, 48) % len(classes)
    for split, masks in (splits or {"train": [plain, plain], "val": [plain]}).items():
        for number, ids in enumerate(masks):
            write_pair(root, split, f"p{number}", np.asarray(ids))
    (root / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    return root


def write_public(root: Path, split: str, ending: str, masks: Sequence[np.ndarray[Any, Any]]) -> Path:
    """One split of a data set as mmsegmentation finds it; a file that is no mask lies beside."""
    for part in ("images", "annotations"):
        (root / part / split).mkdir(parents=True)
    for number, ids in enumerate(masks):
        Image.new("RGB", ids.shape[::-1]).save(root / "images" / split / f"p{number}.jpg")
        Image.fromarray(ids.astype(np.uint8)).save(root / "annotations" / split / f"p{number}{ending}")
    (root / "annotations" / split / "notes.txt").write_text("not a mask")
    return root


def png_bytes(width: int, height: int, *, depth: int, colour: int) -> bytes:
    """A PNG of zeros of any bit depth and colour type, which PIL cannot write."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes((width * depth * channels + 7) // 8)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    body = chunk(b"IDAT", zlib.compress(row * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + body + chunk(b"IEND", b"")


def counts_of(matrix: npt.ArrayLike, *, images: int = 1) -> SplitCounts:
    """Counts of a split whose (K, K) matrix is that of its first picture; the others have no valid pixel."""
    confusion = np.array(matrix, dtype=np.int64)
    counts = ClassCounts.of(confusion)
    empty = np.zeros((images - 1, len(confusion)), dtype=np.int64)
    tp, fp, fn = (np.vstack([one, empty]) for one in (counts.tp, counts.fp, counts.fn))
    names = tuple(f"p{number:05d}" for number in range(images))
    return SplitCounts(confusion=confusion, names=names, tp=tp, fp=fp, fn=fn)


def scores_of(
    matrix: Sequence[Sequence[int]],
    *,
    names: Sequence[str] | None = None,
    pixels: Sequence[int] | None = None,
    images: int = 10,
) -> Scores:
    """Scores of a (K, K) confusion matrix, classes getting rarer with their id."""
    number = len(matrix)
    return make_scores(
        counts_of(matrix, images=images),
        class_names=names or [f"class {k}" for k in range(number)],
        pixel_counts=pixels or [1000 - k for k in range(number)],
        region_counts=[100 - k for k in range(number)],
    )


def make_report(
    experiment: str = "e1", *, scores: Scores | None = None, seconds: float = 50.0, **spec_changes: Any
) -> AttemptReport:
    """A completed report; `spec_changes` go to `spec_document`."""
    return AttemptReport(
        experiment=experiment,
        attempt=1,
        state="completed",
        spec=make_spec(**spec_changes),
        result=AttemptResult(
            evaluation={"single_scale": scores or scores_of([[8, 2, 0], [1, 5, 0], [1, 1, 2]])},
            iterations=1000,
            train_seconds=seconds - 2,
            eval_seconds=2.0,
            parameters=590_527,
            checkpoint=f"runs/{experiment}/checkpoints/deploy.pth",
            training_images=1000,
            eval_images=600,
            versions={"torch": "2.13.0"},
        ),
        started_at="2026-01-02T03:04:05+00:00",
        ended_at="2026-01-02T03:05:05+00:00",
    )
