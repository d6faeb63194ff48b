"""The rows of the paper's Tables 3, 4 and 7: mmsegmentation's file of each, and in what it is not that.

Source of the facts: arXiv 2204.01969, Sec. 4.2 and its tables; mmsegmentation's files and metafiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DECAY = (
    "/schedule/weight_decay",
    1e-4,
    "the paper's text (Sec. 4.2); mmsegmentation's and the authors' released ones have 5e-4: variant mmseg",
)
_EVALUATED = (
    "/evaluation/interval",
    16_000,
    "as the 160k schedules: a step of the training curve that can be compared",
)
_SWIN_B = (
    ("/schedule/crop_size", [640, 640], "the paper's baseline is Swin's own with crops of 640"),
    ("/augmentation/resize_base", [2560, 640], "the base that goes with crops of 640"),
    ("/augmentation/test_size", [2560, 640], "the base that goes with crops of 640"),
)
_COCO_FILE = "pspnet/pspnet_r50-d8_4xb4-320k_coco-stuff164k-512x512"
_NO_164K = f"mmsegmentation has no file for this row: classes, data and length are those of {_COCO_FILE}"
_NO_10K = (
    "mmsegmentation has no file for this row: 40k steps of 4 × 4 pictures, as the authors did there "
    "(github.com/dvlab-research/Parametric-Contrastive-Learning, GPaCo/Seg/configs/paco_coco10k)"
)
BEIT_DECAY = {
    "field": "/schedule/iterations",
    "file": "the rate is 0 after half of the 320000 parts (PolyLR ends at 160000)",
    "recipe": "the rate decays to the last step",
    "why": "a slip of the file: mmsegmentation 0.x, of the paper's time, decayed over the whole run",
}

Change = tuple[str, Any, str]  # pointer, value, why


@dataclass(frozen=True)
class Model:
    """A head on a backbone. `file` is that of its training on ADE20K."""

    row: str
    head: str  # as paper_results.json names it
    backbone: str
    file: str
    sgd: bool = True
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Row:
    """One row of one table."""

    table: str
    model: Model
    dataset: str
    file: str  # whose model and optimiser the row has
    length_of: str | None  # the file whose iterations, batch and data it has, where that is another
    changes: tuple[Change, ...]
    why_nearest: str | None  # where mmsegmentation has no file for the row

    @property
    def name(self) -> str:
        """Of the recipe."""
        return f"{self.table}/{self.model.row}"


def _plain(row: str, head: str, backbone: str, file: str) -> Model:
    return Model(row, head, backbone, f"{file}_4xb4-160k_ade20k-512x512")


_SWIN = "swin/swin-{}_upernet_8xb2-160k_ade20k-512x512"
MODELS = (
    _plain("ocrnet_hr18", "ocrnet", "hrnet_w18", "ocrnet/ocrnet_hr18"),
    _plain("upernet_r50", "upernet", "resnet50", "upernet/upernet_r50"),
    _plain("pspnet_r50", "pspnet", "resnet50", "pspnet/pspnet_r50-d8"),
    _plain("deeplabv3plus_r50", "deeplabv3plus", "resnet50", "deeplabv3plus/deeplabv3plus_r50-d8"),
    _plain("ocrnet_hr48", "ocrnet", "hrnet_w48", "ocrnet/ocrnet_hr48"),
    _plain("upernet_r101", "upernet", "resnet101", "upernet/upernet_r101"),
    _plain("pspnet_r101", "pspnet", "resnet101", "pspnet/pspnet_r101-d8"),
    _plain("deeplabv3plus_r101", "deeplabv3plus", "resnet101", "deeplabv3plus/deeplabv3plus_r101-d8"),
    Model("upernet_swin_t", "upernet", "swin_tiny", _SWIN.format("tiny-patch4-window7-in1k-pre"), sgd=False),
    Model(
        "upernet_swin_b",
        "upernet",
        "swin_base_in22k",
        _SWIN.format("base-patch4-window7-in22k-pre"),
        sgd=False,
        changes=_SWIN_B,
    ),
    Model(
        "upernet_beit_l",
        "upernet",
        "beit_large",
        "beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640",
        sgd=False,
    ),
)


def rows() -> Iterator[Row]:
    """All 23, in the paper's order."""
    for model in MODELS:
        yield Row("table3", model, "ade20k", model.file, None, _changes(model), None)
    for model in MODELS[:-1]:
        own = (
            _COCO_FILE.replace("_r50-", f"_{model.row.rpartition('_')[2]}-")
            if model.head == "pspnet"
            else None
        )
        if own is not None:
            yield Row("table4", model, "cocostuff164k", own, None, _changes(model), None)
        else:
            yield Row("table4", model, "cocostuff164k", model.file, _COCO_FILE, _changes(model), _NO_164K)
    for model in MODELS:
        if model.head == "deeplabv3plus":
            length = ("/schedule/iterations", 40_000, _NO_10K)
            yield Row("table7", model, "cocostuff10k", model.file, None, (*_changes(model), length), _NO_10K)


def _changes(model: Model) -> tuple[Change, ...]:
    return (*((_DECAY,) if model.sgd else ()), *model.changes, _EVALUATED)
