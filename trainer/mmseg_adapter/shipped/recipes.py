"""The packaged recipes, made from the packaged catalogue: what each row has, how it is not its file.

`python -m trainer.mmseg_adapter.shipped.recipes` writes them, after the catalogue was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.base.files import write_atomically
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.model.outline import count_parameters
from trainer.mmseg_adapter.shipped.render import CATALOGUE, as_text
from trainer.mmseg_adapter.shipped.rows import BEIT_DECAY, Row, rows
from trainer.spec.augmentation import Augmentation
from trainer.spec.catalogue.shipped import ShippedModel, model_config, packaged, shipped_model
from trainer.spec.catalogue.weights_list import WEIGHTS
from trainer.spec.data.datasets import DATASETS
from trainer.spec.schedule import Schedule

Document = dict[str, Any]
_TABLES = {"table3": "table3_ade20k", "table4": "table4_cocostuff164k", "table7": "table7_cocostuff10k"}
_AT_512 = "of crops of 512: mmsegmentation has no training with crops of 640"


def make_recipes(paper: Mapping[str, Any], count: Callable[[Document], int]) -> dict[str, Document]:
    """All recipes by name, as `trainer.spec.recipes` reads them.

    Args:
        paper: the paper's tables, as paper_results.json has them.
        count: parameters of a model in mmseg's terms.
    """
    return {row.name: _recipe(row, paper, count) for row in rows()}


def _recipe(row: Row, paper: Mapping[str, Any], count: Callable[[Document], int]) -> Document:
    file = shipped_model(row.file)
    fields = _fields(row, file)
    published = _published(row, paper)
    weights = WEIGHTS[file.pretrained or ""]
    classes = DATASETS[row.dataset].classes
    assert classes is not None
    return {
        "table": row.table,
        "head": row.model.head,
        "backbone": row.model.backbone,
        "dataset": row.dataset,
        "paper": {name: published[name] for name in ("baseline", "region_rebalance")},
        "mmseg": _mmsegs(row, file),
        "fields": fields,
        "variants": {"mmseg": {"weight_decay": file.schedule["weight_decay"]}}
        if row.model.sgd
        else {"mmseg": {}},
        "parameters": count(_with_classes(model_config(file), len(classes))),
        "config": row.file,
        "differences": list(_differences(row, file, fields)),
        "weights": {"name": weights.name, "urls": list(weights.urls), "sha256": weights.sha256},
    }


def _fields(row: Row, file: ShippedModel) -> Document:
    """What a spec has where it says nothing: the file's words, those of its length, what is changed."""
    schedule, augmentation = dict(file.schedule), dict(file.augmentation)
    if row.length_of is not None:
        other = shipped_model(row.length_of)
        schedule |= {name: other.schedule[name] for name in ("iterations", "batch_size")}
    dataset = DATASETS[row.dataset].parameters().model_dump(mode="json", exclude={"root", "frequency_table"})
    fields: Document = {
        "dataset": dataset,
        "model": {"mmseg": row.file},
        "weights": "pretrained",
        "schedule": Schedule.model_validate(schedule).model_dump(mode="json"),
        "augmentation": Augmentation.model_validate({"max_shift": 0, **augmentation}).model_dump(mode="json"),
        "evaluation": {**file.evaluation, "interval": None},
    }
    for pointer, value, _ in row.changes:
        _, section, name = pointer.split("/")
        fields[section][name] = value
    plain: Document = json.loads(json.dumps(fields))
    return plain


def _published(row: Row, paper: Mapping[str, Any]) -> Mapping[str, Any]:
    found = [
        one
        for one in paper[_TABLES[row.table]]
        if (one["head"], one["backbone"]) == (row.model.head, row.model.backbone)
    ]
    (only,) = found
    return dict(only)


def _mmsegs(row: Row, file: ShippedModel) -> Document | None:
    if row.why_nearest is not None:
        return None
    numbers: Document = {"ss": file.mIoU, "ms": file.mIoU_ms}
    return {**numbers, "note": _AT_512} if row.model.row == "upernet_swin_b" else numbers


def _differences(row: Row, file: ShippedModel, fields: Document) -> Iterator[Document]:
    """Every field in which the recipe is not the file that its `config` names, and why."""
    if row.why_nearest is not None:
        yield {"field": "/dataset/name", "file": file.dataset, "recipe": row.dataset, "why": row.why_nearest}
    theirs: Document = {
        "schedule": Schedule.model_validate(dict(file.schedule)).model_dump(mode="json"),
        "augmentation": Augmentation.model_validate({"max_shift": 0, **file.augmentation}).model_dump(
            mode="json"
        ),
        "evaluation": {**file.evaluation},
    }
    reasons = {pointer: why for pointer, _, why in row.changes}
    for section, words in theirs.items():
        for name, value in words.items():
            pointer = f"/{section}/{name}"
            if fields[section][name] != json.loads(json.dumps(value)):
                why = reasons.get(pointer, row.why_nearest)
                yield {"field": pointer, "file": value, "recipe": fields[section][name], "why": why}
    if row.model.head == "upernet" and row.model.backbone == "beit_large":
        yield dict(BEIT_DECAY)


def _with_classes(model: Document, classes: int) -> Document:
    for name in ("decode_head", "auxiliary_head"):
        heads = model.get(name)
        for head in heads if isinstance(heads, list) else [heads] if heads else []:
            head["num_classes"] = classes
    return model


def write_recipes(directory: Path = CATALOGUE) -> None:
    """Makes all recipes and writes them, as a whole."""
    found = make_recipes(packaged("paper.json"), lambda model: count_parameters(revive(model)))
    write_atomically(directory / "recipes.json", as_text(found))


if __name__ == "__main__":
    write_recipes()
