"""What is wrong with ways to score, whatever the model."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.base.errors import Problem
from trainer.spec.evaluation import MODES, AnyMode, Slide

_MOST_WINDOWS = 8  # one above the other that a pixel may be in: 64 with those beside it


def modes_problems(modes: Sequence[AnyMode], where: str) -> list[Problem]:
    """Of each, and what they ask of each other; `where` is the pointer of their list."""
    problems: list[Problem] = []
    names = [mode if isinstance(mode, str) else mode.name for mode in modes]
    for number, (mode, name) in enumerate(zip(modes, names, strict=True)):
        pointer = f"{where}/{number}"
        problems += mode_problems(mode, pointer)
        if name in names[:number]:
            there = pointer if isinstance(mode, str) else f"{pointer}/name"
            problems.append(Problem(there, f'"{name}" is in the list already', "each mode once"))
    return problems


def mode_problems(mode: AnyMode, where: str) -> list[Problem]:
    """Names stand for one mode, scales for one view each; `where` is the mode's pointer."""
    if isinstance(mode, str):
        return []
    problems = []
    if mode.name in MODES:
        got = f'"{mode.name}" is the name of a mode that is known'
        problems.append(Problem(f"{where}/name", got, f'another name, or "{mode.name}" for the object'))
    for number, scale in enumerate(mode.scales):
        if scale in mode.scales[:number]:
            got = f"{scale:g} is in the list already"
            problems.append(Problem(f"{where}/scales/{number}", got, "each scale once"))
    if isinstance(mode.inference, Slide):
        problems += slide_problems(mode.inference, f"{where}/inference")
    return problems


def slide_problems(slide: Slide, where: str) -> list[Problem]:
    """Windows must cover the picture, and not many times over; `where` is the object's pointer."""
    problems = []
    for axis, side in enumerate(("height", "width")):
        stride, window = slide.stride[axis], slide.window[axis]
        least = -(-window // _MOST_WINDOWS)
        if least <= stride <= window:
            continue
        why = "pixels lost" if stride > window else f"each pixel in {window // stride} windows"
        over = "above" if stride > window else f"below 1/{_MOST_WINDOWS} of"
        got = f"{stride} is {over} the window's {side}, {window}: {why}"
        problems.append(Problem(f"{where}/stride/{axis}", got, f"{least} to {window}"))
    return problems
