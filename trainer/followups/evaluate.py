"""A kept checkpoint scored again: in other ways, or on other data."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.dist import get_rank
from torch import Tensor

from trainer.followups.checkpoints import load_for
from trainer.followups.disagreement import Disagreements
from trainer.followups.task import FollowupPlan
from trainer.mmseg_adapter.model.deployed import spec_in
from trainer.mmseg_adapter.scoring.predictor import Predictor, way_of
from trainer.mmseg_adapter.scoring.progress import ScoringProgress
from trainer.mmseg_adapter.scoring.split import OnPicture, score_split
from trainer.results.confusion_file import write_confusion
from trainer.results.followup import EvaluationResult
from trainer.results.from_counts import make_scores
from trainer.run.reported import say
from trainer.spec.checkpoints import FINAL
from trainer.spec.evaluation import Mode, named
from trainer.spec.followups import Disagreement, EvaluationRequest


def evaluate(plan: FollowupPlan, request: EvaluationRequest, device: torch.device) -> EvaluationResult:
    """Scores of the checkpoint on the plan's data, over all ranks, the same on each.

    Pictures are resized as the experiment resizes what it is scored on; where that is by a data set's
    `scale`, by the scale of the data at hand. Groups are by the experiment's training frequencies.

    Raises:
        Cancelled: a newer attempt has begun; nothing is written then.
    """
    data, modes = plan.data, named(request.modes)
    kept = load_for(plan.layout, plan.experiment, request.checkpoint, classes=data.classes, device=device)
    on_gpu = device.type == "cuda"
    collected = _disagreements(plan, request.disagreement, next(iter(modes.values())), device)
    started = time.perf_counter()
    counts = score_split(
        kept.model,
        data.files(data.eval_split),
        modes,
        replace(way_of(plan.spec), scale=data.scale),
        loader_workers=plan.resources.cpus_per_worker - 1 if on_gpu else 0,
        on_picture=_seen_by(collected, data.eval_images),
    )
    seconds = time.perf_counter() - started
    plan.check_newest()
    if get_rank() == 0:
        write_confusion(plan.dir.confusion, counts, data.classes)
    return EvaluationResult(
        checkpoint=kept.file,
        iteration=kept.iteration,
        versions=plan.versions,
        evaluation={
            mode: make_scores(
                each,
                class_names=data.classes,
                pixel_counts=plan.frequencies.pixel,
                region_counts=plan.frequencies.region,
                group_boundaries=plan.spec.evaluation.group_boundaries,
            )
            for mode, each in counts.items()
        },
        dataset=plan.scored,
        eval_images=next(iter(counts.values())).images,
        eval_seconds=seconds,
        pictures=() if collected is None else collected.keep(),
    )


def _seen_by(collected: Disagreements | None, pictures: int) -> OnPicture:
    """What each scored picture is handed to: who collects some, and on rank 0 who tells how far it is."""
    progress = ScoringProgress(pictures, say if get_rank() == 0 else lambda _: None)

    def see(name: str, labels: dict[str, Tensor], target: Tensor) -> None:
        if collected is not None:
            collected.add(name, labels, target)
        progress.add()

    return see


def _disagreements(
    plan: FollowupPlan, asked: Disagreement | None, mode: Mode, device: torch.device
) -> Disagreements | None:
    """What collects them, with the other experiment's model, which labels in the same mode its own way."""
    if asked is None:
        return None
    kept = load_for(plan.layout, asked.against, FINAL, classes=plan.data.classes, device=device)
    way = replace(way_of(spec_in(kept.meta, Path(kept.file))), scale=plan.data.scale)
    return Disagreements(plan, asked, mode.name, Predictor(kept.model, mode, way))
