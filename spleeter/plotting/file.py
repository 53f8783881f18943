"""The picture as a PNG that appears at its path whole or not at all."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from threading import Lock

import numpy as np

from spleeter.errors import EncodeError, OutputError
from spleeter.plotting.drawing import draw, palette
from spleeter.plotting.spectrograms import Spectrograms
from spleeter.types import PathLike
from spleeter.utils.whole_file import WholeFile

DPI = 150
"""Pixels per inch, unless that makes more than `MOST_PIXELS`."""

MOST_PIXELS = 4_000_000
"""Reached with six stems. A pixel takes about a quarter of a byte."""

_DRAWING = Lock()
"""Matplotlib's fonts and settings are shared by all threads, and not made for that."""


def require_matplotlib() -> None:
    """Check that pictures can be drawn, before any work is done.

    Raises:
        OutputError: if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise OutputError("pictures are drawn by matplotlib, which is not installed: pip install 'spleeter[plot]'")


def draw_to_file(spectrograms: Spectrograms, title: str, path: PathLike) -> WholeFile:
    """Draw into a hidden file beside `path`; its `commit` moves it there, its `discard` removes it.

    Args:
        title: the song's name, drawn above.
        path: a name ending in ".png", in a folder that exists.

    Raises:
        OutputError: if matplotlib is not installed.
        EncodeError: if the file cannot be written; nothing is left behind.
    """
    require_matplotlib()
    file = WholeFile(path, EncodeError)
    try:
        file.write(_compressed(_png(spectrograms, title)))
        file.close()
    except BaseException:
        file.discard()
        raise
    return file


def _png(spectrograms: Spectrograms, title: str) -> BytesIO:
    """The picture in full colour, whatever a person's own style for matplotlib is."""
    from matplotlib import style

    png = BytesIO()
    with _DRAWING, style.context("default"):
        figure = draw(spectrograms, title)
        width, height = figure.get_size_inches()
        dpi = min(DPI, int(np.sqrt(MOST_PIXELS / (width * height))))
        figure.savefig(png, format="png", dpi=dpi, pil_kwargs={"compress_level": 0})
    return png


def _compressed(png: BytesIO) -> bytes:
    """The same picture in the colours of the `palette`, which takes a third of the room.

    Hardly a pixel has any other; those at the edges of letters and of silence get the nearest.
    """
    from PIL import Image

    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGBA")).view(np.uint32)[..., 0]  # (rows, columns)
        dpi = image.info["dpi"]
    packed, indices = np.unique(pixels, return_inverse=True)
    colours = packed.view(np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)  # (colours, red green blue)
    allowed = palette()
    nearest = ((colours[:, None] - allowed) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    small = Image.fromarray(nearest[indices].reshape(pixels.shape))
    small.putpalette(allowed.tobytes())
    result = BytesIO()
    small.save(result, "png", dpi=dpi)
    return result.getvalue()
