"""Figure -> PNG: matplotlib's fonts and settings, and compression."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

from spleeter.errors import OutputError
from spleeter.utils.forks import PerProcess

if TYPE_CHECKING:  # it need not be installed
    from matplotlib.figure import Figure

__all__ = ["one_line", "render_png", "require_matplotlib"]

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
"""Matplotlib takes each glyph from the first of them that has it. DejaVu comes with it, and lacks East Asian scripts;
the others are used where they are installed."""

_DRAWING = PerProcess(Lock)
"""Matplotlib's fonts and settings are shared by all threads, and are not made for that."""


def require_matplotlib() -> None:
    """Check that plots can be drawn, before any work is done.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise OutputError("plots are drawn by matplotlib, which is not installed: pip install 'spleeter[plot]'")


def render_png(draw: Callable[[], Figure]) -> bytes:
    """A figure as a PNG file of 256 colours, whatever the user's own style for matplotlib is.

    Glyphs that no font has are drawn as boxes, without a warning.

    Args:
        draw: makes the figure; called with the settings in place.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib import style
    from matplotlib.font_manager import fontManager
    from PIL import Image

    installed = set(fontManager.get_font_names())
    fonts = [font for font in _FONTS if font in installed]  # each other one would be warned of
    settings = style.context(["default", {"font.family": fonts}])
    full, small = BytesIO(), BytesIO()
    with _DRAWING.get(), settings, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        draw().savefig(full, format="png", pil_kwargs={"compress_level": 0})
    with Image.open(full) as image:  # 256 colours take a third of the bytes
        palette = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.save(small, "png", dpi=image.info["dpi"])
    return small.getvalue()


def one_line(text: str, columns: int) -> str:
    """A label that shows any text on one line, cut to `columns` characters, of which East Asian ones count as two."""
    from rich.text import Text

    line = Text(" ".join(text.encode(errors="replace").decode().split()))  # lone surrogates cannot be drawn
    line.truncate(columns, overflow="ellipsis")
    return line.plain.replace("$", r"\$")  # a pair of them would begin and end a formula
