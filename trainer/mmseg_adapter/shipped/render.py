"""All of mmsegmentation's config files as the three JSON files of `trainer/spec/catalogue`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.base.files import write_atomically
from trainer.mmseg_adapter.shipped.augmentation import augmentation_words, evaluation_words, pipeline_of
from trainer.mmseg_adapter.shipped.facts import Facts, facts_of
from trainer.mmseg_adapter.shipped.files import file_names, read_file
from trainer.mmseg_adapter.shipped.metafile import Published, published
from trainer.mmseg_adapter.shipped.models import (
    backbone_name,
    class_count,
    dataset_name,
    head_name,
    model_key,
    pixel_statistics,
    plain_model,
)
from trainer.mmseg_adapter.shipped.pretrained import Found, pretrained_of, weights_list
from trainer.mmseg_adapter.shipped.schedule import schedule_words
from trainer.spec.augmentation import Augmentation
from trainer.spec.schedule import Schedule

CATALOGUE = Path(__file__).parents[2] / "spec" / "catalogue"


@dataclass(frozen=True)
class Rendered:
    """One file: its line of the index, less the name of its weights, and its model."""

    entry: dict[str, Any]
    model: dict[str, Any]  # "model" and "pixels"
    pretrained: Found | None


class Renderer:
    """Files one by one; what is true of a model is found once for all files that have it."""

    def __init__(self) -> None:
        self._facts: dict[str, Facts] = {}

    def render(self, name: str, scores: Published | None) -> Rendered:
        """One file.

        Args:
            name: FOLDER/NAME.
            scores: what is published of it.
        """
        config, notes = read_file(name), list[str]()
        model, pixels = plain_model(config, notes), pixel_statistics(config)
        augmentation, crop = augmentation_words(config, notes)
        begins_with = pretrained_of(config["model"])
        facts = self._facts_of(model, config, (crop[0], crop[1]), begins_with)
        schedule, more = schedule_words(name, config, facts.trained, facts.num_layers)
        schedule = {**schedule, "crop_size": crop}
        _check(schedule, augmentation)
        parts = schedule.get("accumulate", 1)
        evaluation = evaluation_words(config, parts, notes)
        entry = {
            "head": head_name(model),
            "backbone": backbone_name(model),
            "dataset": dataset_name(config),
            "num_classes": class_count(model),
            "parameters": facts.parameters,
            "mIoU": scores and scores.mIoU,
            "mIoU_ms": scores and scores.mIoU_ms,
            "checkpoint": scores and scores.checkpoint,
            "pretrained": None,
            "pretrained_module": facts.pretrained_module,
            "unusable": facts.unusable,
            "norm_stride": facts.norm_stride,
            "layers": facts.num_layers is not None,
            "sized_by_crop": facts.sized_by_crop,
            "batch_size": schedule["batch_size"],
            "schedule": schedule,
            "augmentation": augmentation,
            "evaluation": evaluation,
            "untranslated": [*more, *notes],
            "model": model_key(model, pixels),
        }
        return Rendered(entry, {"model": model, "pixels": pixels}, begins_with)

    def _facts_of(
        self, model: dict[str, Any], config: Mapping[str, Any], crop: tuple[int, int], found: Found | None
    ) -> Facts:
        part = found.part if found else ()
        steps = [step["type"] for step in pipeline_of(config, "train_dataloader")]
        key = json.dumps([model, crop, part, steps], sort_keys=True)
        if key not in self._facts:
            self._facts[key] = facts_of(model, config, crop, part)
        return self._facts[key]


def catalogue(names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """The content of index.json, models.json and weights.json.

    Args:
        names: files to render; by default all.
    """
    every = file_names()
    scores, renderer = published(every), Renderer()
    rendered = {name: renderer.render(name, scores.get(name)) for name in names or every}
    found = {name: one.pretrained for name, one in rendered.items() if one.pretrained}
    weights, named = weights_list(found)
    index = {
        name: {**one.entry, "pretrained": named[one.pretrained.url] if one.pretrained else None}
        for name, one in rendered.items()
    }
    models = {one.entry["model"]: one.model for one in rendered.values()}
    return {
        "index.json": dict(sorted(index.items())),
        "models.json": dict(sorted(models.items())),
        "weights.json": weights,
    }


def as_text(content: Mapping[str, Any]) -> str:
    """JSON with a line for each entry."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False, separators=(',', ':'))}"
        for name, entry in content.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_catalogue(directory: Path = CATALOGUE) -> None:
    """Renders all files and writes the three, each as a whole."""
    for name, content in catalogue().items():
        write_atomically(directory / name, as_text(content))


def _check(schedule: Mapping[str, Any], augmentation: Mapping[str, Any]) -> None:
    """Refuses what a spec could not say."""
    Schedule.model_validate(schedule)
    Augmentation.model_validate(augmentation)
