"""What was trained and scored on, as MLflow's data sets; equal ones are one there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from trainer.base.data_roots import without_scheme
from trainer.results.report import AttemptResult, ClassScore, Scores
from trainer.spec.data.datasets import AnyDataset, DigitScenes, Folder
from trainer.spec.spec import ExperimentSpec

Context = Literal["training", "evaluation"]
_DIGITS = 16  # MLflow takes 36
_ANY = -1  # of a tensor's size


@dataclass(frozen=True)
class TrackedDataset:
    """One split. `digest` is of its classes and how many pictures and pixels each has: a report has no more.

    `source`, `profile` and the schema are JSON.
    """

    name: str
    digest: str
    context: Context
    source: str
    profile: str

    @property
    def schema(self) -> str:
        """Pictures and labels of any size, as a schema of tensors."""
        features, targets = _tensor("picture", _ANY, _ANY, _ANY, 3), _tensor("labels", _ANY, _ANY, _ANY)
        return json.dumps({"mlflow_tensorspec": {"features": features, "targets": targets}})


def datasets_of(spec: ExperimentSpec, result: AttemptResult) -> tuple[TrackedDataset, TrackedDataset]:
    """The training split and the one that was scored."""
    scores = next(iter(result.evaluation.values()))
    train, scored = _splits(spec.dataset)
    place = source_of(spec.dataset)
    counts = {row.name: row.pixel_frequency for row in scores.classes}
    pictures = {row.name: row.region_frequency for row in scores.classes}
    profile = {"pictures": result.training_images, "pixels": counts, "pictures_with_class": pictures}
    return (
        _dataset(f"{_title(spec.dataset)}-{train}", "training", place, profile),
        scored_dataset(f"{_title(spec.dataset)}-{scored}", scores, place),
    )


def scored_dataset(name: str, scores: Scores, source: str) -> TrackedDataset:
    """What was scored, by its name in reports: see `trainer.results.followup.EvaluationResult`."""
    pixels = {row.name: _labelled(row) for row in scores.classes}
    return _dataset(name, "evaluation", source, {"pictures": scores.images, "pixels": pixels})


def _dataset(name: str, context: Context, source: str, profile: dict[str, Any]) -> TrackedDataset:
    content = json.dumps(profile, ensure_ascii=False)
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
    return TrackedDataset(name, digest, context, source, content)


def _labelled(row: ClassScore) -> int:
    return row.tp + row.fn


def _splits(dataset: AnyDataset) -> tuple[str, str]:
    if isinstance(dataset, DigitScenes):
        return "train", "val"
    return dataset.train_split, dataset.eval_split


def _title(dataset: AnyDataset) -> str:
    return PurePath(without_scheme(dataset.root)).name if isinstance(dataset, Folder) else dataset.name


def source_of(dataset: AnyDataset) -> str:
    """Where it is, as the spec says it; of built-in scenes what they are made with."""
    if isinstance(dataset, DigitScenes):
        return dataset.model_dump_json()
    return json.dumps({"uri": dataset.root})


def _tensor(name: str, *shape: int) -> str:
    """One tensor, as MLflow writes its schemas: JSON within JSON."""
    spec = {"dtype": "uint8", "shape": list(shape)}
    return json.dumps([{"name": name, "type": "tensor", "required": True, "tensor-spec": spec}])
