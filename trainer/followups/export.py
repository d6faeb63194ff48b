"""A kept checkpoint in other programs' formats, each compared with it on real pictures before it is kept."""

from __future__ import annotations

from pathlib import Path

from trainer.data.splits import list_pairs
from trainer.followups.labelling import read_picture
from trainer.followups.task import FollowupPlan
from trainer.mmseg_adapter.export.export import export_model
from trainer.mmseg_adapter.model.kept import load_kept
from trainer.mmseg_adapter.scoring.predictor import way_of
from trainer.results.followup import ExportedFile, ExportResult
from trainer.spec.followups import ExportRequest, Format

_PICTURES = 4  # on which labels are compared


def export(plan: FollowupPlan, request: ExportRequest) -> ExportResult:
    """What was taken away, and what the model does not allow; the folder appears as a whole.

    Raises:
        DataError: the evaluated split's first pictures cannot be read: there is nothing to compare on.
        Cancelled: a newer attempt has begun.
    """
    kept = load_kept(plan.layout, plan.experiment, request.checkpoint)
    data = plan.data
    pairs = list_pairs(Path(data.root), data.eval_split, mask_ending=data.mask_ending)
    pictures = [read_picture(pair.picture) for pair in pairs[:_PICTURES]]
    files: list[ExportedFile] = []
    refused: dict[Format, str] = {}

    def fill(folder: Path) -> None:
        made, not_allowed = export_model(
            kept.model, kept.meta, pictures, request.formats, folder, way=way_of(plan.spec)
        )
        files.extend(made)
        refused.update(not_allowed)

    plan.publish(plan.dir.export, fill)
    return ExportResult(
        checkpoint=kept.file,
        iteration=kept.iteration,
        versions=plan.versions,
        files=tuple(files),
        refused=refused,
    )
