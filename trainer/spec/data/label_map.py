"""What the ids in masks mean: for each id that a mask may hold its class, or void.

Letters: K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from trainer.spec.data.datasets import DATASETS, IGNORE_INDEX, AnyDataset, Folder

# ((id as stored, its class 0 … K-1 or 255 for void), …), ascending; every other id is refused.
LabelMap = tuple[tuple[int, int], ...]

_MOST_NAMED = 12  # ids in a hint


def as_stored(num_classes: int) -> LabelMap:
    """Ids are classes as they are, 255 is void."""
    return (*((k, k) for k in range(num_classes)), (IGNORE_INDEX, IGNORE_INDEX))


def zero_is_void(num_classes: int) -> LabelMap:
    """Id 0 is void as well, 1 … K are classes 0 … K-1: mmsegmentation's reduce_zero_label."""
    classes = ((k + 1, k) for k in range(num_classes))
    return ((0, IGNORE_INDEX), *classes, (IGNORE_INDEX, IGNORE_INDEX))


def asked_map(dataset: AnyDataset, num_classes: int) -> LabelMap | None:
    """The map that a spec asks for, or a public data set has; None where ids are taken as they are stored."""
    if not isinstance(dataset, Folder):
        return layout_map(dataset.name, num_classes)
    if dataset.zero_is_void:
        return zero_is_void(num_classes)
    return None if dataset.label_map is None else map_of(dataset.label_map)


def layout_map(dataset_name: str, num_classes: int) -> LabelMap | None:
    """The map that a data set of the catalogue has, whatever a spec says; None: ids are as stored."""
    return zero_is_void(num_classes) if DATASETS[dataset_name].layout.zero_is_void else None


def map_of(label_map: Mapping[str, int | None]) -> LabelMap:
    """The map that a spec's `label_map` writes down; what it does not name is refused, 255 as well."""
    found = ((int(k), IGNORE_INDEX if to is None else to) for k, to in label_map.items())
    return tuple(sorted(found))


def ids_in_words(label_map: LabelMap) -> str:
    """The ids that a mask may hold, as a message says it: `0 to 10, 255 (void)`."""
    runs = []
    for _, run in groupby(enumerate(label_map), lambda item: (_is_void(item[1]), item[1][0] - item[0])):
        ids = [k for _, (k, _) in run]
        void = " (void)" if _is_void((ids[0], dict(label_map)[ids[0]])) else ""
        runs.append((f"{ids[0]}" if len(ids) == 1 else f"{ids[0]} to {ids[-1]}") + void)
    return ", ".join(runs)


def _is_void(entry: tuple[int, int]) -> bool:
    return entry[1] == IGNORE_INDEX


def strange_ids_hint(
    label_map: LabelMap | None, num_classes: int, held: Sequence[int], *, dataset: str = "folder"
) -> str:
    """What may be meant where masks hold ids that they may not; `held` are all that occur in a split."""
    if dataset != "folder":
        return f"are they of the original release? How the masks of {dataset} are made: docs/datasets.md"
    if label_map is not None and label_map == zero_is_void(num_classes):
        return f"ids 1 to {num_classes} are its classes: lines of classes.txt may be missing"
    legal = dict(as_stored(num_classes) if label_map is None else label_map)
    strange = [k for k in held if k not in legal]
    if label_map is not None:
        return (
            f"label_map must name every id that occurs, such as {_written(dict.fromkeys(strange))} for void"
        )
    if strange != [num_classes]:
        return f'"label_map": {_written(dict.fromkeys(held, ...))} in /dataset says what class an id is'
    from_one = f'if ids count from 1 to {num_classes} and 0 is unlabelled, "zero_is_void": true in /dataset'
    if 0 not in held:
        return from_one
    last_void = _written({k: legal[k] if k < num_classes else None for k in held})
    return f'{from_one}; if {num_classes} is unlabelled, "label_map": {last_void}'


def _written(label_map: Mapping[int, object]) -> str:
    """A map as a spec has it, of a long one the first ids; … stands for what a person must say."""
    words: dict[object, object] = {None: "null", ...: "…"}
    named = [f'"{k}": {words.get(to, to)}' for k, to in label_map.items()]
    return "{" + ", ".join(named[:_MOST_NAMED] + ["…"] * (len(named) > _MOST_NAMED)) + "}"
