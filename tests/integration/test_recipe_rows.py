"""Rows of the paper's tables with their true architectures: one real step, one real picture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainer.spec.recipes import Recipe, recipes

pytestmark = pytest.mark.integration

# A plain head, a cascade, a transformer; the others are of `make campaign`.
QUICK = ("table3/pspnet_r50", "table4/ocrnet_hr18", "table3/upernet_swin_t")
LONG = pytest.mark.skipif(
    "RECIPES" not in os.environ, reason="half a minute each: RECIPES=all, as `make campaign` sets it"
)
_SPLITS = {
    "ade20k": ("training", "validation"),
    "cocostuff164k": ("train2017", "val2017"),
    "cocostuff10k": ("train2014", "test2014"),
}
_LIMIT_SECONDS = 1200
_WRITE = os.environ.get("RECIPES_WRITE")


def few_pictures(shared_data: Path, dataset: str, root: Path) -> Path:
    """Four pictures to train on and one to score, in the data set's own layout."""
    source = shared_data / ("ade20k_tiny" if dataset == "ade20k" else "cocostuff_tiny")
    theirs = _SPLITS["ade20k" if dataset == "ade20k" else "cocostuff164k"]
    for split, origin, count in zip(_SPLITS[dataset], theirs, (4, 1), strict=True):
        pictures = sorted((source / "images" / origin).iterdir())[:count]
        for part in ("images", "annotations"):
            (root / part / split).mkdir(parents=True)
        for picture in pictures:
            shutil.copy(picture, root / "images" / split)
            (mask,) = (source / "annotations" / origin).glob(f"{picture.stem}*.png")
            copy = root / "annotations" / split / mask.name
            if dataset == "cocostuff10k":  # 0 is unlabelled there, and all classes come one later
                labels = np.asarray(Image.open(mask))
                Image.fromarray(np.where(labels == 255, 0, labels + 1).astype(np.uint8)).save(copy)
            else:
                shutil.copy(mask, copy)
    return root


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else LONG) for n in recipes()])
def test_one_step(name: str, shared_data: Path, tmp_path: Path) -> None:
    """As many parameters as mmseg's own model with these classes; one step, one picture, branch and all."""
    recipe = recipes()[name]
    root = few_pictures(shared_data, recipe.dataset, tmp_path / "data")
    command = [
        sys.executable,
        "-m",
        "tests.integration.recipe_row",
        name,
        str(root),
        str(tmp_path / "storage"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["parameters"] == found["mmseg_parameters"]
    if recipe.backbone != "beit_large":  # whose tables of positions are of the crop's size
        assert found["parameters"] == recipe.parameters
    assert found["pictures"] == 1
    assert found["mIoU"] is not None
    if _WRITE:
        _write(Path(_WRITE), recipe, found)


def _write(path: Path, recipe: Recipe, found: dict[str, Any]) -> None:
    """Puts the row into the table at `path`, in the place of an earlier one, in the paper's order."""
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = {line.split(" | ")[0].strip("| "): line for line in known if line.startswith("| table")}
    rows[recipe.name] = _row(recipe, found)
    ordered = [rows[name] for name in recipes() if name in rows]
    titles = (
        "recipe", "mmsegmentation's file", "parameters", "step, s", "peak, GiB", "weights",
        "paper base ss / ms", "paper RR ss / ms", "mmseg ss / ms", "differences",
    )  # fmt: skip
    head = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    text = (
        "# The paper's rows, each built and trained for one step\n\n"
        "Made by `RECIPES=all RECIPES_WRITE=docs/results/recipes.md pytest\n"
        "tests/integration/test_recipe_rows.py` on 2 CPU cores. Step: forward and backward pass of region\n"
        "rebalance and one step of the optimiser, two crops of 128×128, from random weights, the first (and\n"
        "only) one, loading included, beside other work on the same cores. Peak: of the whole process, with\n"
        "one picture scored. Parameters are those at the recipe's own crop; what was built has as many as\n"
        "mmsegmentation's own model with the same classes. mIoU in percent, as published.\n\n"
    )
    path.write_text(text + "\n".join([*head, *ordered]) + "\n", encoding="utf-8")


def _row(recipe: Recipe, found: dict[str, Any]) -> str:
    base, ours, mmseg = recipe.paper["baseline"], recipe.paper["region_rebalance"], recipe.mmseg
    cells = (
        recipe.name,
        recipe.config,
        f"{recipe.parameters:,}",
        f"{found['step_seconds']:.1f}",
        f"{found['peak_bytes'] / 2**30:.1f}",
        recipe.weights["name"],
        f"{base['ss']} / {base['ms']}",
        f"{ours['ss']} / {ours['ms']}",
        "–" if mmseg is None else f"{mmseg['ss']} / {mmseg['ms']}" + (" (512)" if mmseg.get("note") else ""),
        ", ".join(each["field"].rpartition("/")[2] for each in recipe.differences) or "none",
    )
    return f"| {' | '.join(cells)} |"
