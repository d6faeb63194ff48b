"""One picture labelled, as files in the follow-up's folder."""

from __future__ import annotations

import numpy as np
import torch

from trainer.drawing.labels import label_png, overlay, png
from trainer.drawing.legend import legend
from trainer.drawing.palette import palette_of
from trainer.followups.checkpoints import load_for
from trainer.followups.labelling import label_picture, read_picture
from trainer.followups.task import FollowupPlan
from trainer.mmseg_adapter.scoring.predictor import Predictor, way_of
from trainer.results.followup import PredictionResult
from trainer.spec.evaluation import named
from trainer.spec.followups import PredictionRequest


def predict(plan: FollowupPlan, request: PredictionRequest, device: torch.device) -> PredictionResult:
    """How many pixels of the sent picture each class has; its labels are in storage then, all or none.

    Raises:
        DataError: the picture cannot be used, or the model cannot label one of its size.
        Cancelled: a newer attempt has begun; nothing is written then.
    """
    picture = read_picture(plan.dir.picture.local, name="the picture")
    classes = plan.data.classes
    kept = load_for(plan.layout, plan.experiment, request.checkpoint, classes=classes, device=device)
    mode = next(iter(named((request.mode,)).values()))
    labels = label_picture(Predictor(kept.model, mode, way_of(plan.spec)), picture)
    colours = palette_of(plan.data.palette, len(classes))
    pixels = np.bincount(labels.ravel(), minlength=len(classes)).tolist()
    made = {
        plan.dir.labels: label_png(labels, colours),
        plan.dir.overlay: png(overlay(picture[..., ::-1], labels, colours)),
        plan.dir.legend: png(legend(classes, colours, {"": pixels})),
    }
    plan.check_newest()
    try:
        for file, content in made.items():
            file.write(content)
    except OSError:
        for file in made:
            file.delete()
        raise
    height, width = labels.shape
    return PredictionResult(
        checkpoint=kept.file,
        iteration=kept.iteration,
        versions=plan.versions,
        height=height,
        width=width,
        pixels={name: number for name, number in zip(classes, pixels, strict=True) if number},
    )
