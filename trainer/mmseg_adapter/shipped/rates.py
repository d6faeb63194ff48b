"""A config file's schedulers as linear warm-up and polynomial decay to the last iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_POWER = 0.9  # mmsegmentation's usual, where a file's own decay is no polynomial


def rate_words(
    schedulers: Any, micro: int, parts: int, learning_rate: float, notes: list[str]
) -> dict[str, Any]:
    """Warm-up and decay in steps of the optimiser; what of them is otherwise goes to `notes`.

    Args:
        schedulers: the file's `param_scheduler`: none, one or several.
        micro: iterations as the file counts them, parts of a step.
        parts: of one step.
        learning_rate: the highest.
        notes: in words.
    """
    every = [schedulers] if isinstance(schedulers, dict) else list(schedulers or ())
    if any(one.get("by_epoch", True) for one in every):
        notes.append("a scheduler counts epochs")
    warmup = [one for one in every if one["type"] == "LinearLR"]
    decays = [one for one in every if one["type"] in ("PolyLR", "PolyLRRatio")]
    notes += [_other(one) for one in every if one not in warmup and one not in decays]
    words: dict[str, Any] = {"warmup_iterations": 0}
    warm = 0
    if warmup:
        warm = int(warmup[0].get("end", micro))
        words = {"warmup_iterations": warm // parts, "warmup_factor": warmup[0].get("start_factor", 1 / 3)}
        if len(warmup) > 1 or warmup[0].get("begin", 0) or warmup[0].get("end_factor", 1) != 1:
            notes.append(f"warm-up: {warmup}")
    if not decays:
        if every:
            notes.append(f"here the rate decays as a polynomial of power {_POWER}")
        return {**words, "power": _POWER, "min_learning_rate": 0.0}
    return {**words, **_decay(decays[-1], warm, micro, learning_rate, notes)}


def _decay(
    poly: Mapping[str, Any], warm: int, micro: int, learning_rate: float, notes: list[str]
) -> dict[str, Any]:
    begin, end = int(poly.get("begin", 0)), int(poly.get("end", micro))
    if begin != warm:
        notes.append(f"the decay begins at iteration {begin}, the warm-up ends at {warm}; here it follows it")
    if end != micro:
        notes.append(
            f"the decay ends at iteration {end} of {micro}, as the file counts; here at the last one"
        )
    lowest = poly.get("eta_min", 0.0)
    if "eta_min_ratio" in poly:
        lowest = poly["eta_min_ratio"] * learning_rate
    if lowest > learning_rate:
        notes.append(f"the rate rises to {lowest:g}; here it stays at {learning_rate:g}")
        lowest = learning_rate
    return {"power": float(poly.get("power", 1)), "min_learning_rate": float(lowest)}


def _other(scheduler: Mapping[str, Any]) -> str:
    if scheduler["type"] == "MultiStepLR":
        steps = ", ".join(str(step) for step in scheduler["milestones"])
        return f"the rate falls to {scheduler.get('gamma', 0.1)} of itself at iterations {steps}"
    return f"scheduler {scheduler['type']} from iteration {scheduler.get('begin', 0)}"
