"""One of two ranks that score a split: `python modes_rank.py RANK RENDEZVOUS_FILE DATA RESULT_FILE`.

See test_modes_of_two_ranks.py. Both ranks write what they have, to RESULT_FILE with their number behind it.
"""

from __future__ import annotations

import json
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import distributed

from tests.data_factories import CLASSES
from tests.unit.trainer.tiny_mmseg import HEADS, make_model, mmseg_scope
from trainer.data.prepare import SplitFiles
from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.mmseg_adapter.scoring.split import score_split
from trainer.spec.evaluation import MODES, Mode

PREPROCESSOR = {"type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3, "bgr_to_rgb": True}
TWO = Mode(name="two", scales=(0.75, 1.5), flip=True)


def scored(root: str, split: str) -> dict[str, Any]:
    """What this rank has of each mode, and the pictures that it was called with."""
    model = make_model({**HEADS["FCNHead"], "num_classes": len(CLASSES)}, data_preprocessor=PREPROCESSOR)
    seen: list[str] = []
    counts = score_split(
        model,
        SplitFiles(root, split, CLASSES),
        {"single_scale": MODES["single_scale"], "two": TWO},
        TestWay("native", 1.0, "whole"),
        on_picture=lambda name, labels, target: seen.append(name),
    )
    return {
        "seen": seen,
        **{
            mode: {"confusion": one.confusion.tolist(), "names": one.names, "tp": one.tp.tolist()}
            for mode, one in counts.items()
        },
    }


def main() -> None:
    rank, rendezvous, root, result_file = int(sys.argv[1]), *sys.argv[2:]
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    found = {split: scored(root, split) for split in ("val", "one")}
    Path(f"{result_file}{rank}").write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # mmseg's own remarks
    with mmseg_scope():
        main()
