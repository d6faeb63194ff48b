"""Labels as pictures, held against small arrays whose every pixel is known."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trainer.data.headers import mask_fault
from trainer.drawing.disagreement import difference, model_colour, one_right
from trainer.drawing.labels import edges, label_png, overlay
from trainer.drawing.legend import legend
from trainer.drawing.palette import distinct_colours, palette_of
from trainer.drawing.panels import comparison

RED_BLUE = ((200, 0, 0), (0, 0, 200))
LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)
TEAL = (1, 99, 98)  # of nothing else that is drawn
GREY = np.full((3, 4, 3), 100, np.uint8)


def test_every_class_has_a_colour_of_its_own() -> None:
    """Up to the most classes there can be; fewer classes have the first of them; none has that of edges."""
    colours = distinct_colours(255)
    assert len(set(colours)) == 255
    assert distinct_colours(11) == colours[:11]
    assert (255, 255, 255) not in colours
    assert distinct_colours(2) == ((230, 159, 0), (86, 180, 233))


def test_a_data_sets_own_colours_come_first() -> None:
    """They are taken as they are, two that are alike as well."""
    own = ((1, 2, 3), (1, 2, 3))
    assert palette_of(own, 2) == own
    assert palette_of(None, 2) == distinct_colours(2)


def test_a_label_map_holds_ids_and_shows_colours() -> None:
    """8 bits, one channel, as masks are; the value of a pixel is its class."""
    content = label_png(LABELS, RED_BLUE)
    assert mask_fault(content) is None
    with Image.open(io.BytesIO(content)) as read:
        assert read.mode == "P"
        assert np.array_equal(np.asarray(read), LABELS)
        shown = np.asarray(read.convert("RGB"))
    assert tuple(shown[0, 0]) == RED_BLUE[0]
    assert tuple(shown[0, 2]) == RED_BLUE[1]


def test_an_overlay_mixes_colour_and_shade() -> None:
    """Half the class's colour, half the lifted shade; white where classes meet; void is dark and grey."""
    drawn = overlay(GREY, LABELS, RED_BLUE)
    shade = (64 + 100 * 191 // 255) // 2
    assert tuple(drawn[0, 0]) == (100 + shade, shade, shade)
    assert tuple(drawn[0, 3]) == (shade, shade, 100 + shade)
    assert tuple(drawn[0, 1]) == (255, 255, 255)
    assert tuple(drawn[2, 3]) == (50, 50, 50)
    assert np.argwhere(edges(LABELS)).tolist() == [[0, 1], [1, 1], [1, 3], [2, 1], [2, 2]]


def test_exactly_one_is_right() -> None:
    """Both right, both wrong in the same or in other ways, and void do not count."""
    target = np.array([[0, 0, 0, 0, 255]], np.uint8)
    ours = np.array([[0, 0, 1, 1, 0]], np.uint8)
    other = np.array([[0, 1, 1, 2, 1]], np.uint8)
    assert one_right(ours, other, target).tolist() == [[False, True, False, False, False]]


def test_a_difference_says_who_is_right() -> None:
    """White, a model's colour, dark and grey with the truth; two colours without it."""
    target = np.array([[0, 0, 0, 0, 255]], np.uint8)
    ours = np.array([[0, 0, 1, 1, 0]], np.uint8)
    other = np.array([[0, 1, 0, 2, 1]], np.uint8)
    drawn, _ = difference([ours, other], target)
    dark, white, grey = (60,) * 3, (255,) * 3, (200,) * 3
    assert [tuple(pixel) for pixel in drawn[0]] == [white, model_colour(0), model_colour(1), dark, grey]
    plain, words = difference([ours, other, other], None)
    assert [tuple(pixel) == white for pixel in plain[0]] == [True, False, False, False, False]
    assert words == "white: all agree; orange: they differ"


def test_a_legend_lists_what_is_there() -> None:
    """A line a class, the largest first; a class without a pixel has none; one more line for titles."""
    names, palette = ("road", "tree", "car"), ((10, 0, 0), (0, 20, 0), (0, 0, 30))
    one = legend(names, palette, {"": (25, 0, 75)})
    assert _colours_down(one, palette) == [(0, 0, 30), (10, 0, 0)]
    two = legend(names, palette, {"a": (25, 0, 75), "b": (90, 10, 0)})
    assert _colours_down(two, palette) == [(10, 0, 0), (0, 0, 30), (0, 20, 0)]
    assert two.shape[0] == one.shape[0] + 2 * 22


def _colours_down(drawn: np.ndarray, palette: tuple[tuple[int, int, int], ...]) -> list[tuple[int, ...]]:
    """The palette's colours in the column of swatches, from the top."""
    column = [tuple(pixel) for pixel in drawn[:, 20].tolist()]
    return list(dict.fromkeys(colour for colour in column if colour in palette))


@pytest.mark.parametrize(("size", "panel"), [((64, 64), (256, 256)), ((300, 400), (300, 400))])
def test_small_pictures_are_enlarged(size: tuple[int, int], panel: tuple[int, int]) -> None:
    """By a whole factor, so that a title can be read; others stay as they are. All five panels are there."""
    zeros = np.zeros(size, np.uint8)
    picture = np.full((*size, 3), TEAL, np.uint8)
    drawn = comparison(picture, [("a", zeros), ("b", zeros + 1)], RED_BLUE, target=zeros)
    assert (drawn == TEAL).all(axis=-1).sum() == panel[0] * panel[1]
    assert drawn.shape[1] > 2 * panel[1]


def test_large_pictures_are_shrunk() -> None:
    """To 1200 pixels on the long side; boxes are where they were asked for."""
    zeros = np.zeros((3000, 2000), np.uint8)
    picture = np.full((3000, 2000, 3), TEAL, np.uint8)
    labels = [("a", zeros), ("b", zeros)]
    drawn = comparison(picture, labels, RED_BLUE, boxes=[(200, 300, 900, 1000)])
    assert (drawn == TEAL).all(axis=-1).sum() == 1200 * 800
    assert (drawn[..., 0] > drawn[..., 1] + 100).any(), "the box is red"
