"""What is asked of a deployment: small enough for two CPUs, and built of what every service has."""

from __future__ import annotations

from typing import Any

_SCENES = {"name": "digit_scenes", "train_images": 50, "eval_images": 50}
_TAGS = {"smoke": "yes"}
STEPS_OF_ROW = 20


def experiment(name: str, *, iterations: int = 20) -> dict[str, Any]:
    """Trains in a second or two; with many iterations it is still there when it is cancelled."""
    return {
        "name": name,
        "dataset": _SCENES,
        "model": "small",
        "method": "region_rebalance",
        "schedule": {"iterations": iterations, "batch_size": 4, "learning_rate": 0.1},
        "tags": _TAGS,
    }


def sweep(name: str) -> dict[str, Any]:
    """Two trials."""
    base = {key: value for key, value in experiment(name).items() if key not in ("name", "tags")}
    axes = [{"pointer": "/method/lambda", "grid": [0, 0.3]}]
    return {"name": name, "base": base, "axes": axes, "tags": _TAGS}


def row(name: str, gpus: int, data: str | None) -> dict[str, Any]:
    """A row of the paper on `gpus` workers, from scratch: 20 steps say that GPUs train, not how well.

    `data`: the root of its data set; without, the built-in scenes in crops of their size.
    """
    schedule: dict[str, Any] = {"iterations": STEPS_OF_ROW, "batch_size": 4 * gpus}
    if data is None:
        schedule["crop_size"] = [64, 64]
    return {
        "name": name,
        "recipe": "table3/deeplabv3plus_r50",
        "dataset": _SCENES if data is None else {"root": data},
        "method": "region_rebalance",
        "weights": "none",
        "schedule": schedule,
        "resources": {"workers": gpus, "gpus_per_worker": 1},
        "tags": _TAGS,
    }
