"""Any text as one line that can be drawn: not too long, and without glyphs that no font has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import accumulate
from unicodedata import east_asian_width

_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""The first comes with matplotlib, and has no letters of East Asia; the others are taken where they are installed."""


def drawable(text: str, columns: int) -> str:
    """A text as it can be drawn by the fonts that `families` names, at most `columns` letters wide.

    Letters of East Asia count as two. What no font has a glyph for, control characters too, becomes a box.
    """
    glyphs = frozenset().union(*_fonts().values())
    return "".join(char if ord(char) in glyphs else "□" for char in _cut(text, columns))


def families() -> list[str]:
    """The names of the installed fonts that together draw most scripts, to be tried in this order."""
    return list(_fonts())


def _cut(text: str, columns: int) -> str:
    widths = list(accumulate(2 if east_asian_width(char) in "WF" else 1 for char in text))
    if not widths or widths[-1] <= columns:
        return text
    return text[: sum(width < columns for width in widths)] + "…"


@cache
def _fonts() -> Mapping[str, frozenset[int]]:
    """The code points that each installed font has glyphs for."""
    from matplotlib.font_manager import fontManager, get_font

    files = {entry.name: entry.fname for entry in fontManager.ttflist}
    return {name: frozenset(get_font(files[name]).get_charmap()) for name in _FONTS if name in files}
