"""Classes of another data set, in an experiment's terms."""

from __future__ import annotations

import pytest

from trainer.base.errors import SpecError
from trainer.spec.data.class_map import scored_map
from trainer.spec.data.label_map import zero_is_void

OURS, THEIRS = ("road", "tree", "car"), ("auto", "street", "sky")
MAP = {"auto": "car", "street": "road", "sky": None}


def test_ids_are_led_to_the_experiments_classes() -> None:
    """A name by its class's place, null and void to void; after the map that the data set has itself."""
    assert scored_map(OURS, THEIRS, None, MAP) == ((0, 2), (1, 0), (2, 255), (255, 255))
    stored = zero_is_void(3)
    assert scored_map(OURS, THEIRS, stored, MAP) == ((0, 255), (1, 2), (2, 0), (3, 255), (255, 255))
    both = {"auto": "car", "street": "car", "sky": None}
    assert scored_map(OURS, THEIRS, None, both) == ((0, 2), (1, 2), (2, 255), (255, 255))


def test_the_same_classes_need_no_map() -> None:
    """Ids mean what they mean there."""
    assert scored_map(OURS, OURS, None, None) is None
    assert scored_map(OURS, OURS, zero_is_void(3), None) == zero_is_void(3)


@pytest.mark.parametrize(
    ("theirs", "class_map", "words"),
    [
        (("road", "tree"), None, "/dataset: lacks car;"),
        (("road", "tree", "bus"), None, "/dataset: lacks car and has bus;"),
        (("road", "car", "tree"), None, "its class 1 is 'car', not 'tree'"),
        (THEIRS, {"auto": "car", "street": "road"}, "/class_map: lacks 1 of the data set's classes: sky"),
        (THEIRS, {**MAP, "bus": "car"}, "/class_map/bus: is no class of the data set; allowed: auto,"),
        (THEIRS, {**MAP, "sky": "air"}, "/class_map/sky: 'air' is no class of the experiment; allowed: road"),
        (THEIRS, dict.fromkeys(THEIRS), "/class_map: maps no class"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    theirs: tuple[str, ...], class_map: dict[str, str | None] | None, words: str
) -> None:
    """Whichever side a class is missing on; nothing is guessed."""
    with pytest.raises(SpecError) as raised:
        scored_map(OURS, theirs, None, class_map)
    assert words in str(raised.value)
