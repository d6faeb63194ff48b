"""Which formats the catalogue's models allow: each kind of head, and the models of the paper's rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.mmseg_adapter.export.deployed_models import CLASSES, built, real_pictures
from trainer.mmseg_adapter.export.export import export_model
from trainer.mmseg_adapter.export.pictures import predicted
from trainer.mmseg_adapter.model.config import network_of, render_model
from trainer.mmseg_adapter.scoring.predictor import way_of
from trainer.spec.catalogue.shipped import ShippedModel, shipped
from trainer.spec.followups import Format
from trainer.spec.recipes import recipes
from trainer.spec.spec import parse_spec

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("EXPORTS" not in os.environ, reason="half a minute each: EXPORTS=all"),
    pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*", "ignore:torch.meshgrid.*:UserWarning"),
]
_CROP = 128  # as for the rows' training step
_SIZE = (160, 224)  # of the pictures
_FORMATS: tuple[Format, ...] = ("mmseg", "torch_export", "onnx")
_WRITE = os.environ.get("EXPORTS_WRITE")


def chosen() -> Iterator[ShippedModel]:
    """The smallest usable model of each head, then those of the rows; none twice."""
    usable = sorted((one for one in shipped().values() if one.usable), key=lambda one: one.parameters or 0)
    smallest = {one.head: one for one in reversed(usable)}
    rows = {recipe.config: shipped()[recipe.config] for recipe in recipes().values()}
    every = {(one.head, one.backbone): one for one in (*smallest.values(), *rows.values())}
    yield from sorted(every.values(), key=lambda one: (one.head, one.backbone, one.name))


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in chosen()])
def test_what_it_allows(one: ShippedModel, camvid: Path, tmp_path: Path) -> None:
    """With random weights: each format gives the checkpoint's labels, or is refused in words."""
    spec = parse_spec(
        {
            "dataset": {"name": "folder", "root": str(camvid)},
            "model": {"mmseg": one.name},
            "weights": "none",
            "method": "baseline",
            "schedule": {"iterations": 1, "batch_size": 2, "crop_size": [_CROP, _CROP], "accumulate": 1},
            "augmentation": {"test_size": "native"},
            "resources": {"gpus_per_worker": 0, "cpus_per_worker": 2},
        }
    )
    model, meta = built(render_model(network_of(spec), spec, num_classes=len(CLASSES)))
    pictures = real_pictures(camvid, _SIZE)
    labels = predicted(model, pictures[0], _SIZE)
    assert len(set(labels.flatten().tolist())) > 1
    started = time.monotonic()
    made, refused = export_model(
        model, meta, pictures, _FORMATS, tmp_path, way=replace(way_of(spec), scale=1.0)
    )
    assert {each.format for each in made} | refused.keys() == set(_FORMATS)
    sizes = {name: _sizes(tmp_path / name / "README.md") for name in _FORMATS if name not in refused}
    if _WRITE:
        _note(Path(_WRITE), one, sizes, refused, time.monotonic() - started)


def _sizes(card: Path) -> str:
    return "one size" if "and of no other size" in card.read_text(encoding="utf-8") else "yes"


def _note(
    path: Path, one: ShippedModel, sizes: dict[str, str], refused: dict[Any, str], seconds: float
) -> None:
    """Puts the model's row into the table at `path`, in the place of an earlier one, sorted."""
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = {line.split(" | ")[2]: line for line in known if line.startswith("| ") and "`" in line}
    cells = [sizes.get(name) or f"no: {refused[name].partition(': ')[0]}" for name in _FORMATS]
    rows[f"`{one.name}`"] = (
        f"| {one.head} | {one.backbone} | `{one.name}` | {' | '.join(cells)} | {seconds:.0f} |"
    )
    titles = " | ".join(_FORMATS)
    head = [f"| head | backbone | model | {titles} | s |", "|---|---|---|---|---|---|---|"]
    text = (
        "# Which formats the catalogue's models allow\n\n"
        "Made by `EXPORTS=all EXPORTS_WRITE=docs/results/exports.md pytest\n"
        "tests/integration/test_export_catalogue.py` on 2 CPU cores: the smallest usable model of each head\n"
        "and the models of the paper's rows, random weights, two pictures of CamVid cut to 224×160, crops\n"
        "of 128×128. Labels were compared with mmsegmentation's prediction. `yes`: pictures of any size.\n"
        "safetensors goes as mmseg, mlflow as torch_export. s: all three, beside other work there.\n\n"
    )
    path.write_text(text + "\n".join([*head, *sorted(rows.values())]) + "\n", encoding="utf-8")
