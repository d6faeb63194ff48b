"""Another data set's classes in terms of an experiment's.

Letters: K classes of the experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import escape
from trainer.base.text import first_names
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.data.label_map import LabelMap, as_stored

ClassNames = Sequence[str]


def scored_map(
    ours: ClassNames,
    theirs: ClassNames,
    label_map: LabelMap | None,
    class_map: Mapping[str, str | None] | None,
) -> LabelMap | None:
    """What the ids in the other data set's masks mean in the experiment's classes; None: as they are stored.

    Args:
        ours: the experiment's classes, in label order.
        theirs: the other data set's.
        label_map: what its ids mean in its own classes; None: as they are stored.
        class_map: the experiment's class for each of theirs, None for void; without one
            both must have the same.

    Raises:
        SpecError: naming every class that is missing, unknown, or another.
    """
    if class_map is None:
        unlike = unlike_classes(ours, theirs)
        if unlike is not None:
            allowed = "the experiment's classes in their order, or a class_map"
            raise SpecError((Problem("/dataset", unlike, allowed),))
        return label_map
    problems = [*_unknown(ours, theirs, class_map)]
    if missing := [name for name in theirs if name not in class_map]:
        got = f"lacks {len(missing)} of the data set's classes: {first_names(missing)}"
        problems.append(Problem("/class_map", got, "the experiment's class, or null, for each of them"))
    if not problems and all(to is None for to in class_map.values()):
        problems.append(Problem("/class_map", "maps no class", "at least one class of the experiment"))
    if problems:
        raise SpecError(tuple(problems))
    index = {name: k for k, name in enumerate(ours)}
    targets = [IGNORE_INDEX if (to := class_map[name]) is None else index[to] for name in theirs]
    stored = as_stored(len(theirs)) if label_map is None else label_map
    return tuple((k, IGNORE_INDEX if to == IGNORE_INDEX else targets[to]) for k, to in stored)


def unlike_classes(ours: ClassNames, theirs: ClassNames) -> str | None:
    """What is other about theirs, such as `lacks car and has bus`; None where they are ours in our order."""
    if tuple(ours) == tuple(theirs):
        return None
    lacking = [name for name in ours if name not in theirs]
    foreign = [name for name in theirs if name not in ours]
    if lacking or foreign:
        parts = [f"lacks {first_names(lacking)}"] * bool(lacking)
        parts += [f"has {first_names(foreign)}"] * bool(foreign)
        return " and ".join(parts)
    if len(theirs) != len(ours):  # a checkpoint that is not ours may name one twice
        return f"has {len(theirs)} classes, not {len(ours)}"
    first = next(k for k, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"has the classes in another order: its class {first} is {theirs[first]!r}, not {ours[first]!r}"


def _unknown(ours: ClassNames, theirs: ClassNames, class_map: Mapping[str, str | None]) -> list[Problem]:
    problems = []
    for name, to in class_map.items():
        where = f"/class_map/{escape(name)}"
        if name not in theirs:
            problems.append(Problem(where, "is no class of the data set", first_names(theirs)))
        if to is not None and to not in ours:
            problems.append(Problem(where, f"{to!r} is no class of the experiment", first_names(ours)))
    return problems
