"""What is said of labels that are legal but can hardly be meant: facts in, notices out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_factories import make_spec, make_task, write_folder
from trainer.base.errors import DataError
from trainer.data.folders import resolve_spec
from trainer.data.frequency import Counted, Frequencies
from trainer.data.labels.facts import LabelFacts
from trainer.data.labels.notices import label_notices
from trainer.data.tally import NUM_IDS
from trainer.plan import make_plan
from trainer.spec.data.label_map import LabelMap, as_stored, map_of, strange_ids_hint, zero_is_void

Ids = Mapping[int, tuple[int, int]]  # by id: pixels, masks that hold it
UNDER_ANOTHER_ID = '"label_map" in /dataset, if masks hold it under another id'
FIVE = ("sky", "road", "tree", "car", "bike")
USUAL = {0: (300, 10), 1: (400, 10), 2: (100, 8), 3: (90, 7), 4: (10, 2), 255: (50, 10)}
BORDER = {0: (30, 10), 1: (300, 10), 2: (400, 10), 3: (100, 8), 4: (90, 7)}  # 0: everywhere, and small


def counted(split: str, ids: Ids, classes: int, label_map: LabelMap | None = None) -> Counted:
    pixel, region = [0] * NUM_IDS, [0] * NUM_IDS
    by_class = [[0] * NUM_IDS, [0] * NUM_IDS]
    meaning = dict(as_stored(classes) if label_map is None else label_map)
    for k, (pixels, masks) in ids.items():
        pixel[k], region[k] = pixels, masks
        by_class[0][meaning[k]] += pixels
        by_class[1][meaning[k]] += masks
    frequencies = Frequencies(tuple(by_class[0][:classes]), tuple(by_class[1][:classes]), 10)
    return Counted(split, frequencies, tuple(pixel), tuple(region))


def facts(train: Ids, val: Ids | None = None, **changes: Any) -> LabelFacts:
    """By default both splits hold the same."""
    base = LabelFacts("folder", FIVE, counted("train", USUAL, 5))
    base = replace(base, **changes)
    size, label_map = len(base.classes), base.label_map
    scored = counted("val", train if val is None else val, size, label_map)
    return replace(base, train=counted("train", train, size, label_map), scored=scored)


def without(ids: Ids, *absent: int) -> Ids:
    return {k: number for k, number in ids.items() if k not in absent}


TWO = ("background", "car")
NAMED = ("unlabelled", "road", "tree", "car", "bike")
CASES: dict[str, tuple[LabelFacts, list[str]]] = {
    "as usual": (facts(USUAL), []),
    "0 and 255 alone": (facts({0: (930, 10), 255: (70, 9)}, classes=TWO), ["object_masks"]),
    "0 and 255, most of it void": (
        facts({0: (30, 10), 255: (970, 9)}, classes=TWO),
        ["object_masks", "much_void", "much_void"],
    ),
    "0 and 255, said to be meant": (
        facts({0: (930, 10), 255: (70, 9)}, classes=TWO, label_map=map_of({"0": 0, "255": 1})),
        [],
    ),
    "0 and 1": (facts({0: (930, 10), 1: (70, 9)}, classes=TWO), []),
    "a border as class 0": (facts(BORDER), ["ids_from_one"]),
    "a border, and zero is void": (
        facts(BORDER | {5: (10, 2)}, label_map=zero_is_void(5)),
        [],
    ),
    "something is void": (facts(BORDER | {255: (1, 1)}), []),
    "something is void in one split": (facts(BORDER, BORDER | {255: (1, 1)}), []),
    "class 0 is large": (facts(without(USUAL, 255)), []),
    "class 0 is rare": (facts(BORDER | {0: (30, 4)}), []),
    "a class for the rest": (facts(BORDER, classes=("pole", "a", "b", "c", "Background")), []),
    "two classes": (facts({0: (10, 10), 1: (90, 10)}, classes=("face", "hair")), []),
    "built in": (facts(BORDER, dataset="digit_scenes"), []),
    "a class only scored": (facts(without(USUAL, 3), USUAL), ["unseen_class"]),
    "a class nowhere": (facts(without(USUAL, 3)), ["absent_class"]),
    "a class only trained": (facts(USUAL, without(USUAL, 3)), ["unscored_class"]),
    "one of each": (
        facts(without(USUAL, 1, 2), without(USUAL, 2, 3)),
        ["unseen_class", "absent_class", "unscored_class"],
    ),
    "a class called void": (facts(USUAL, classes=NAMED), ["void_class"]),
    "a class called void, mapped": (
        facts(USUAL | {5: (1, 1)}, classes=NAMED, label_map=zero_is_void(5)),
        ["void_class"],
    ),
    "half is void": (facts(USUAL | {255: (900, 10)}), []),
    "more than half": (facts(USUAL | {255: (901, 10)}), ["much_void", "much_void"]),
    "more than half of one split": (facts(USUAL, USUAL | {255: (901, 10)}), ["much_void"]),
    "void by the map": (
        facts(
            USUAL,
            label_map=map_of({"0": None, "1": None, "2": 0, "3": 1, "4": 2, "255": 3}),
            classes=FIVE[:4],
        ),
        ["much_void", "much_void"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_told_and_what_is_not(name: str) -> None:
    """The kinds of notices that these labels get, in order; most sets get none."""
    given, codes = CASES[name]
    assert [notice.code for notice in label_notices(given)] == codes


def test_words_of_object_masks() -> None:
    """The class, the share of void, what such masks usually are, and the option."""
    (notice,) = label_notices(facts({0: (930, 10), 255: (70, 9)}, classes=TWO))
    assert notice.text == (
        "the masks of split 'train' hold the ids 0 and 255 alone: class 1 'car' has no training pixel, "
        "and 7.0 % of all pixels are void (255)"
    )
    assert notice.hint is not None
    assert '"label_map": {"0": 0, "255": 1}' in notice.hint


def test_words_of_a_class_that_is_never_trained() -> None:
    """How much of what is scored it is; of many classes the first are named."""
    (notice,) = label_notices(facts(without(USUAL, 3), USUAL))
    assert notice.text == (
        "class 3 'car' has no training pixel, but 10.0 % of the labelled pixels of split 'val',"
        " which is scored"
    )
    many = tuple(f"c{k}" for k in range(20))
    (notice,) = label_notices(facts({0: (9, 9), 255: (1, 1), 1: (4, 4)}, classes=many))
    assert notice.text.startswith(
        "18 classes (2 'c2', 3 'c3', 4 'c4', 5 'c5', 6 'c6', …) have no training pixel"
    )


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (facts(without(USUAL, 0)), 'if ids count from 1, "zero_is_void": true in /dataset'),
        (
            facts(without(USUAL, 2)),
            f"{UNDER_ANOTHER_ID}, perhaps 255, which is void without it (5.9 % of the pixels)",
        ),
        (facts(without(USUAL, 4), label_map=zero_is_void(5)), "if ids count from 0, no zero_is_void"),
        (facts(USUAL, label_map=map_of({**{str(k): k for k in range(4)}, "4": None, "9": 4, "255": None})),
         "label_map makes it of 9, which no mask holds"),
        (facts(USUAL, label_map=map_of({**{str(k): k for k in range(4)}, "4": None, "255": None})),
         "label_map gives it no id"),
        (facts(without(USUAL, 2), dataset="digit_scenes"),
         "more /dataset/train_images, or a smaller /dataset/imbalance"),
    ],
)  # fmt: skip
def test_the_option_that_mends_an_absent_class(given: LabelFacts, hint: str) -> None:
    """It depends on what the spec says of ids already."""
    told = [notice for notice in label_notices(given) if notice.code == "absent_class"]
    assert [notice.hint for notice in told] == [hint]


def test_names_cannot_break_lines() -> None:
    """A name with escapes of a terminal or a tab is told as Python writes it."""
    odd = ("a\x1b[31m", "b\tc", "d", "e", "f")
    texts = [notice.text for notice in label_notices(facts(without(USUAL, 0, 1), classes=odd))]
    assert all(text.isprintable() for text in texts)


@pytest.mark.parametrize(
    ("label_map", "held", "words"),
    [
        (None, [1, 2, 3], 'if ids count from 1 to 3 and 0 is unlabelled, "zero_is_void": true in /dataset'),
        (None, [0, 1, 2, 3], '{"0": 0, "1": 1, "2": 2, "3": null}'),
        (None, [0, 38, 75], '"label_map": {"0": …, "38": …, "75": …} in /dataset says what class an id is'),
        (None, list(range(0, 250, 10)), '"110": …, …}'),
        (zero_is_void(3), [0, 4], "ids 1 to 3 are its classes: lines of classes.txt may be missing"),
        (map_of({"0": 0, "7": 1}), [0, 7, 255], 'such as {"255": null} for void'),
    ],
)
def test_ids_out_of_range_come_with_a_hint(label_map: LabelMap | None, held: list[int], words: str) -> None:
    """What may be meant, from which ids occur and what the spec says of them."""
    assert words in strange_ids_hint(label_map, 3, held)


def test_a_plan_has_the_notices(tmp_path: Path) -> None:
    """From masks on disk to the plan, which the job hands on; one id too large is an error with the hint."""
    masks = [np.array([[0, 255] * 16] * 32, np.uint8)]
    root = write_folder(tmp_path / "data", {"train": masks, "val": masks}, classes=TWO)
    document = {"name": "folder", "root": str(root)}

    def plan(**options: Any) -> Any:
        spec = make_spec(dataset=document | options, schedule={"crop_size": [32, 32]})
        return make_plan(make_task(resolve_spec(spec, data_roots=None), tmp_path / "s"), print)

    assert [notice.code for notice in plan().notices] == ["object_masks"]
    assert plan(label_map={"0": 0, "255": 1}).notices == ()
    masks[0][masks[0] == 255] = 2
    write_folder(root, {"train": masks, "val": masks}, classes=TWO)
    with pytest.raises(DataError, match=r"ids other than 0 to 1, 255 \(void\): 2 .*\"zero_is_void\": true"):
        plan()
