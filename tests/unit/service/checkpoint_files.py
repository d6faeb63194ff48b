"""Checkpoints as a training leaves them, as far as the service looks at them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence

from trainer.storage.checkpoints import Facts, KeptScore, note_facts
from trainer.storage.layout import Storage

CLASSES = ("road", "tree", "car")


def leave_checkpoints(
    storage: Storage, experiment: str, names: Sequence[str] = ("final",), classes: Sequence[str] = CLASSES
) -> None:
    """Files of these names, and a plan that says which classes were trained on."""
    folder = storage.checkpoints(experiment)
    for name in names:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(f"{name}/data.pkl", name * 100)
        if name in ("final", "best"):
            score = KeptScore(name="mIoU", value=50.0, mode="single_scale")
            best = name == "best" or "best" not in names
            note_facts(stream, Facts(iteration=1000, spec_hash="0" * 64, score=score, best=best))
        folder.file(f"{name}.pth").write(stream.getvalue())
    storage.attempt(experiment, 1).plan.write(json.dumps({"data": {"classes": list(classes)}}))
