"""Text and rectangles on a blank picture."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
INK, PAPER = (0, 0, 0), (255, 255, 255)
LINE = 22  # pixels from one line to the next
_SIZE = 16


@cache
def font() -> Font:
    """Pillow's own font: Latin letters; others come as boxes, for which legends have ids."""
    return ImageFont.load_default(size=_SIZE)


def blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A white picture, and what draws on it."""
    picture = Image.new("RGB", (width, height), PAPER)
    return picture, ImageDraw.Draw(picture)


def width_of(text: str) -> int:
    """Pixels that a line takes."""
    return int(font().getlength(text)) + 1


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` pixels, where its words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
