"""Draw a share card: a title, one figure, a line about it and its course as bars, as PNG of 1200 by 630 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

SIZE = WIDTH, HEIGHT = 1200, 630
EDGE = 72
BACK, TEXT, MUTED, ACCENT, WARN = "#0c0914", "#ece6f8", "#b0a5c8", "#b794ff", "#fbbf66"
FIGURE, LINE, SMALL = 120, 40, 30  # font sizes
SMALLEST = 24  # a longer text is cut
BARS_TOP, BARS_BOTTOM = 420, 550
GAP = 0.25  # between bars, of a bar's place
LEAST = 2  # so high is a bar of little: what is paid can be seen


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on it. `bars`: None where a value is not known; the last one may be unfinished."""

    title: str
    figure: str
    line: str
    foot: str
    bars: Sequence[int | None] = ()
    is_demo: bool = False


def png(card: Card) -> bytes:
    """Return the image. Its font comes with Pillow: no file of the machine is read."""
    image = Image.new("RGB", SIZE, BACK)
    draw = ImageDraw.Draw(image)
    _text(draw, 64, card.title, LINE, MUTED)
    _text(draw, 120, card.figure, FIGURE, TEXT)
    _text(draw, 300, card.line, LINE, MUTED)
    _bars(draw, card.bars)
    _text(draw, 574, f"DEMO · {card.foot}" if card.is_demo else card.foot, SMALL, WARN if card.is_demo else MUTED)
    file = BytesIO()
    image.quantize(16).save(file, "PNG", optimize=True)
    return file.getvalue()


def _text(draw: ImageDraw.ImageDraw, top: int, text: str, size: int, colour: str) -> None:
    """Write one line, smaller where it is long, and cut where it would be too small to read."""
    while (font := ImageFont.load_default(size)).getlength(text) > WIDTH - 2 * EDGE:
        if size > SMALLEST:
            size -= 4
        else:
            text = text.rstrip("…")[:-1] + "…"
    draw.text((EDGE, top), text, colour, font)


def _bars(draw: ImageDraw.ImageDraw, values: Sequence[int | None]) -> None:
    most = max((value or 0 for value in values), default=0)
    if not most:
        return
    step = (WIDTH - 2 * EDGE) / len(values)
    for number, value in enumerate(values):
        if value:
            left = EDGE + number * step
            height = max((BARS_BOTTOM - BARS_TOP) * value / most, LEAST)
            draw.rectangle((left, BARS_BOTTOM - height, left + step * (1 - GAP), BARS_BOTTOM), ACCENT)
    draw.line((EDGE, BARS_BOTTOM, WIDTH - EDGE, BARS_BOTTOM), MUTED)
