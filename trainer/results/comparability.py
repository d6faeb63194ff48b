"""Whether a score of one evaluation may be subtracted from another's, and why not: one answer for all tables.

It may where both were scored on the same labels: the same classes by id and name, as many pictures, the same
pixels of each class. Then a difference is one between the models alone, whatever they were trained on.
That labels of the same size are the same is taken on trust: a report does not have the labels themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from trainer.results.metrics import GROUPS, Group
from trainer.results.report import ClassScore, Scores
from trainer.spec.evaluation import ScoreName

ClassKey = tuple[int, str]


class Ground(NamedTuple):
    """What an evaluation was scored on; per class in the order of `classes`."""

    classes: tuple[ClassKey, ...]  # ascending
    images: int
    pixels: tuple[int, ...]  # labelled
    groups: tuple[Group, ...]  # by what was trained on


def key_of(one: ClassScore) -> ClassKey:
    """What makes a class the same one elsewhere: its id and its name, not its place in a list."""
    return one.id, one.name


def ground_of(scores: Scores) -> Ground:
    """What `scores` were measured on."""
    classes = sorted(scores.classes, key=key_of)
    return Ground(
        classes=tuple(key_of(one) for one in classes),
        images=scores.images,
        pixels=tuple(one.tp + one.fn for one in classes),
        groups=tuple(one.group for one in classes),
    )


def why_apart(ground: Ground, reference: Ground, score: ScoreName = "mIoU") -> str | None:
    """Why `score` must not be subtracted from the reference's, in a few words; None where it may.

    A score of head, body or tail needs the same classes in the groups as well.
    """
    if ground.classes != reference.classes:
        return f"other classes: {classes_apart(ground, reference)}"
    if ground.images != reference.images:
        return f"{ground.images:,} pictures instead of {reference.images:,}"
    if ground.pixels != reference.pixels:
        return _first_unlike(ground, reference)
    if score.startswith(GROUPS) and ground.groups != reference.groups:
        return "other classes in head, body and tail"
    return None


def classes_apart(ground: Ground, reference: Ground) -> str | None:
    """In what the lists of classes differ, None where they do not."""
    ours, theirs = ground.classes, reference.classes
    if len(ours) != len(theirs):
        return f"{len(ours)} instead of {len(theirs)}"
    for (number, name), (other_number, other) in zip(ours, theirs, strict=True):
        if number != other_number:
            return f"class {number} {name!r} instead of class {other_number} {other!r}"
        if name != other:
            return f"class {number} is {name!r}, not {other!r}"
    return None


def difference(value: float | None, reference: float | None) -> float | None:
    """`value` - `reference`, None where either is undefined."""
    return None if value is None or reference is None else value - reference


def _first_unlike(ground: Ground, reference: Ground) -> str:
    """The first class with another number of labelled pixels; there is one."""
    rows = zip(ground.classes, ground.pixels, reference.pixels, strict=True)
    (_, name), ours, theirs = next(row for row in rows if row[1] != row[2])
    return f"{ours:,} pixels of {name!r} instead of {theirs:,}"
