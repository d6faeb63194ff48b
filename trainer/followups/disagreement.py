"""The pictures on which two models disagree most, kept with the labels of both and the truth.

Of each picture the share of its valid pixels on which the labels differ and exactly one of them is right;
the pictures with the highest shares are kept, of equals the first by name.

Letters: H W size of a picture.
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.dist import all_gather_object, get_rank
from torch import Tensor

from trainer.base.files import write_atomically
from trainer.drawing.disagreement import RULE, one_right
from trainer.drawing.labels import Box, Pixels, Where, label_png, png
from trainer.drawing.palette import palette_of
from trainer.drawing.panels import comparison
from trainer.followups.labelling import label_picture, read_picture
from trainer.followups.task import FollowupPlan
from trainer.mmseg_adapter.scoring.predictor import Predictor
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.followups import Disagreement

_BOXES = 8  # the largest regions, of each picture
_COMPRESSION = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class _Kept(NamedTuple):
    """A picture's share, and its labels as PNGs of ids: compressed they take little memory."""

    share: float
    name: str  # of the picture's file
    ours: bytes
    other: bytes
    truth: bytes

    @property
    def rank(self) -> _Rank:
        return _Rank(self.share, self.name)


class _Rank(NamedTuple):
    """By which pictures are chosen. The largest share is the first; of equals the first name."""

    share: float
    name: str

    @property
    def key(self) -> tuple[float, str]:
        return -self.share, self.name


class Disagreements:
    """Takes every picture of this rank as it is scored, and holds the labels of those that may be kept."""

    def __init__(self, plan: FollowupPlan, asked: Disagreement, mode: str, other: Predictor) -> None:
        """`other`: of the other experiment, in the mode whose labels are compared."""
        self._plan, self._asked, self._mode, self._other = plan, asked, mode, other
        self._images = Path(plan.data.root) / "images" / plan.data.eval_split
        self._held: list[_Kept] = []

    def add(self, name: str, labels: dict[str, Tensor], target: Tensor) -> None:
        """Looks at one picture: its file's name, its (H, W) labels by mode, and the (H, W) truth."""
        ours, truth = _as_ids(labels[self._mode]), _as_ids(target)
        valid = int((truth != IGNORE_INDEX).sum())
        if not valid:
            return
        other = label_picture(self._other, read_picture(self._images / name))
        share = int(one_right(ours, other, truth).sum()) / valid
        if share == 0 or not self._is_among(_Rank(share, name)):
            return
        self._held.append(_Kept(share, name, _packed(ours), _packed(other), _packed(truth)))
        self._held = heapq.nsmallest(self._asked.pictures, self._held, key=lambda kept: kept.rank.key)

    def _is_among(self, rank: _Rank) -> bool:
        full = len(self._held) == self._asked.pictures
        return not full or rank.key < self._held[-1].rank.key

    def keep(self) -> tuple[str, ...]:
        """Writes the pictures chosen over all ranks; their names without endings, most disagreement first."""
        ranks = [rank for each in all_gather_object([kept.rank for kept in self._held]) for rank in each]
        chosen = [rank.name for rank in heapq.nsmallest(self._asked.pictures, ranks, key=lambda one: one.key)]
        mine = [kept for kept in self._held if kept.name in chosen]
        found = {kept.name: kept for each in all_gather_object(mine) for kept in each}
        if get_rank() == 0:
            kept = [found[name] for name in chosen]
            self._plan.publish(self._plan.dir.pictures, lambda path: self._fill(path, kept))
        return tuple(Path(name).stem for name in chosen)

    def _fill(self, folder: Path, chosen: list[_Kept]) -> None:
        entries = [self._draw(folder, each) for each in chosen]
        told = {
            "rule": f"the highest shares of {RULE}",
            "experiment": self._plan.experiment,
            "checkpoint": str(self._plan.request.checkpoint),
            "against": self._asked.against,
            "mode": self._mode,
            "dataset": self._plan.scored,
            "pictures": entries,
        }
        write_atomically(folder / "pictures.json", json.dumps(told, indent=1) + "\n")

    def _draw(self, folder: Path, kept: _Kept) -> dict[str, Any]:
        """Writes a picture's files; what pictures.json says of it."""
        source = self._images / kept.name
        picture = read_picture(source)[..., ::-1]
        ours, other, truth = (_unpacked(each) for each in (kept.ours, kept.other, kept.truth))
        colours = palette_of(self._plan.data.palette, len(self._plan.data.classes))
        boxes = largest_boxes(one_right(ours, other, truth), _BOXES)
        both = [(self._plan.experiment, ours), (self._asked.against, other)]
        drawn = comparison(picture, both, colours, target=truth, boxes=boxes)
        made = {
            f"picture{source.suffix.lower()}": source.read_bytes(),
            "truth.png": label_png(truth, colours),
            "ours.png": label_png(ours, colours),
            "other.png": label_png(other, colours),
            "compare.png": png(drawn),
        }
        for name, content in made.items():
            write_atomically(folder / f"{source.stem}_{name}", content)
        return {
            "name": source.stem,
            "share": kept.share,
            "files": {Path(name).stem: f"{source.stem}_{name}" for name in made},
            "boxes": [list(box) for box in boxes],
        }


def largest_boxes(where: Where, most: int) -> list[Box]:
    """Around the largest connected regions of a mask (H, W), the largest first; of equals the upper one.

    Pixels that touch at a corner are connected.
    """
    count, _, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8), connectivity=8)
    found = []
    for left, top, width, height, area in stats[1:count].tolist():
        found.append((-area, top, left, (left, top, left + width, top + height)))
    return [box for *_, box in sorted(found)[:most]]


def _as_ids(labels: Tensor) -> Pixels:
    ids: Pixels = labels.cpu().numpy().astype(np.uint8)
    return ids


def _packed(labels: Pixels) -> bytes:
    whole, content = cv2.imencode(".png", labels, _COMPRESSION)
    assert whole
    return bytes(content)


def _unpacked(content: bytes) -> Pixels:
    labels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(labels, np.uint8)
