"""Labels that are legal but can hardly be meant: from what was counted to notices, with what would mend it.

Letters: K classes. The rules stand in docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainer.data.frequency import Counted
from trainer.data.labels.facts import LabelFacts
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.data.label_map import zero_is_void
from trainer.storage.notices import Notice

_MUCH_VOID = 0.5  # share of a split's pixels above which it is told
_EVERYWHERE = 0.9  # share of a split's masks, as unlabelled borders have it
_FEWEST_CLASSES = 3  # below it the first class may well be small and everywhere
_MOST_NAMED = 5  # classes in a notice
_VOID_NAMES = {
    *("void", "unlabelled", "unlabeled", "notlabelled", "notlabeled", "nolabel", "ignore", "ignored"),
    *("unknown", "undefined", "unclassified", "nodata", "dontcare"),
}
_REST_NAMES = {"background", "bg", "rest", "other", "others", "clutter", "misc", "miscellaneous", "none"}


def label_notices(facts: LabelFacts) -> tuple[Notice, ...]:
    """What a person must see of the labels, most telling first; none where all is as usual."""
    if facts.free and _held(facts.train) == [0, IGNORE_INDEX]:
        return (_object_masks(facts), *_much_void(facts))
    return (*_off_by_one(facts), *_missing_classes(facts), *_void_names(facts), *_much_void(facts))


def _object_masks(facts: LabelFacts) -> Notice:
    unseen = _named(facts, range(1, len(facts.classes)))
    share = _percent(facts.void_share(facts.train))
    lines = "" if len(facts.classes) == 2 else " and two lines in classes.txt"
    return Notice(
        code="object_masks",
        text=f"the masks of split {facts.train.split!r} hold the ids 0 and 255 alone: {unseen} no"
        f" {_pixel(facts)}, and {share} of all pixels are void (255)",
        hint=f'0/255 masks usually mean an object: "label_map": {{"0": 0, "255": 1}} in /dataset{lines}',
    )


def _off_by_one(facts: LabelFacts) -> Iterator[Notice]:
    """Nothing is void, no class means the rest, and id 0 is in nearly every mask, but with few pixels."""
    num_classes = len(facts.classes)
    names = {_plain(name) for name in facts.classes}
    if not facts.free or num_classes < _FEWEST_CLASSES or names & (_REST_NAMES | _VOID_NAMES):
        return
    if any(split.id_pixel[IGNORE_INDEX] or not _like_border(split, num_classes) for split in facts.splits):
        return
    train = facts.train
    share = _percent(train.id_pixel[0] / sum(train.id_pixel))
    yield Notice(
        code="ids_from_one",
        text=f"no pixel is void, and id 0, class {facts.classes[0]!r}, is in {train.id_region[0]} of"
        f" {train.frequencies.images} masks of split {train.split!r} with {share} of the pixels, as"
        " unlabelled borders are",
        hint="if ids count from 1 and 0 is unlabelled, every class is off by one here:"
        ' "zero_is_void": true in /dataset',
    )


def _like_border(split: Counted, num_classes: int) -> bool:
    everywhere = split.id_region[0] >= _EVERYWHERE * split.frequencies.images
    return everywhere and 0 < split.id_pixel[0] * num_classes < sum(split.id_pixel)


def _missing_classes(facts: LabelFacts) -> Iterator[Notice]:
    train, scored = facts.train.frequencies, (facts.scored or facts.train).frequencies
    where = f"split {(facts.scored or facts.train).split!r}"
    classes = range(len(facts.classes))
    if unseen := [k for k in classes if scored.region[k] and not train.region[k]]:
        share = _percent(sum(scored.pixel[k] for k in unseen) / sum(scored.pixel))
        yield Notice(
            code="unseen_class",
            text=f"{_named(facts, unseen)} no training pixel, but {share} of the labelled pixels of {where},"
            " which is scored",
            hint=_unseen_hint(facts),
        )
    if absent := [k for k in classes if not scored.region[k] and not train.region[k]]:
        nor = f", nor one in {where}" if len(facts.splits) > 1 else ""
        text = f"{_named(facts, absent)} no {_pixel(facts)}{nor}"
        yield Notice(code="absent_class", text=text, hint=_absent_hint(facts, absent))
    if unscored := [k for k in classes if train.region[k] and not scored.region[k]]:
        yield Notice(
            code="unscored_class",
            text=f"{_named(facts, unscored)} no pixel in {where}, which is scored: no IoU, or 0 if predicted",
            hint=None if facts.built_in else "a split that has every class as /dataset/eval_split",
        )


def _unseen_hint(facts: LabelFacts) -> str:
    if facts.built_in:
        return "more /dataset/train_images, or a smaller /dataset/imbalance"
    other = "a split that has it as /dataset/train_split"
    return f'{other}, or "label_map" in /dataset if masks hold it under another id' if facts.free else other


def _absent_hint(facts: LabelFacts, absent: Sequence[int]) -> str | None:
    if facts.built_in:
        return _unseen_hint(facts)
    if facts.free and 0 in absent:
        return 'if ids count from 1, "zero_is_void": true in /dataset'
    if facts.free:
        share = facts.void_share(facts.train)
        void = f", perhaps 255, which is void without it ({_percent(share)} of the pixels)" if share else ""
        return f'"label_map" in /dataset, if masks hold it under another id{void}'
    if facts.label_map is None or facts.dataset != "folder":
        return None
    if facts.label_map == zero_is_void(len(facts.classes)):
        return "if ids count from 0, no zero_is_void" if absent[-1] == len(facts.classes) - 1 else None
    ids = ", ".join(str(k) for k, to in facts.label_map if to in absent)
    return f"label_map makes it of {ids}, which no mask holds" if ids else "label_map gives it no id"


def _void_names(facts: LabelFacts) -> Iterator[Notice]:
    train = facts.train.frequencies
    for k, name in enumerate(facts.classes):
        if _plain(name) not in _VOID_NAMES or not train.pixel[k] or facts.dataset != "folder":
            continue
        share = _percent(train.pixel[k] / sum(train.pixel))
        out = "its line out of classes.txt"
        zero = f'"zero_is_void": true in /dataset and {out}'
        by_map = f'"label_map" in /dataset with null for its id, and {out}'
        yield Notice(
            code="void_class",
            text=f"class {k} {name!r} is a class like others, with {share} of the labelled pixels of split"
            f" {facts.train.split!r}",
            hint=f"if it means no class: {zero if facts.free and k == 0 else by_map}",
        )


def _much_void(facts: LabelFacts) -> Iterator[Notice]:
    for split in facts.splits:
        share = facts.void_share(split)
        if share > _MUCH_VOID:
            yield Notice(
                code="much_void",
                text=f"{_percent(share)} of the pixels of split {split.split!r} are void",
                hint='"label_map" in /dataset gives an id a class' if facts.dataset == "folder" else None,
            )


def _held(split: Counted) -> list[int]:
    return [k for k, pixels in enumerate(split.id_pixel) if pixels]


def _pixel(facts: LabelFacts) -> str:
    return "training pixel" if facts.scored else f"pixel in split {facts.train.split!r}"


def _named(facts: LabelFacts, classes: Sequence[int]) -> str:
    """For example `class 8 'Car' has`, `7 classes (1 'a', 2 'b', …) have`; names as Python writes them."""
    names = [f"{k} {facts.classes[k]!r}" for k in classes[:_MOST_NAMED]]
    if len(classes) == 1:
        return f"class {names[0]} has"
    return f"{len(classes)} classes ({', '.join(names)}{', …' if len(classes) > _MOST_NAMED else ''}) have"


def _percent(share: float) -> str:
    return "under 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
