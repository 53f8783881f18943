"""The structure of Ogg files (RFC 3533): their links, pages with samples, and whether the last page is whole."""

from __future__ import annotations

import os
import re
from itertools import pairwise

from spleeter.audio.files import InputFile

__all__ = ["ogg_has_one_page", "ogg_is_cut", "ogg_is_finished", "ogg_links"]

_BLOCK = 1 << 20
_HEADER_SIZE = 27
"""Bytes of a page's header before its table of segments."""

_MAX_PAGE = _HEADER_SIZE + 255 + 255 * 255
_PAGE = re.compile(rb"OggS\0[\0-\7]", re.DOTALL)
_FIRST_PAGE = re.compile(rb"OggS\0[\2\6]", re.DOTALL)
"""The page that begins a logical stream has bit 1 of its flags set."""


def ogg_links(file: InputFile) -> list[tuple[int, int]]:
    """The links of a chained Ogg file: one range (start, stop) of bytes each, in order.

    A link begins with the first pages of all its streams, one right behind the other; where such a page follows
    another kind, the next link begins. The whole of a seekable file is read; it is left at its start.

    Returns:
        One range for a file that is not chained; none for another kind of file.
    """
    file.seek(0)
    is_ogg = file.read(4) == b"OggS"
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not is_ogg:
        return []
    starts, group_end = [], -1
    position, block = 0, file.read(_BLOCK)
    while len(block) > _HEADER_SIZE:
        for match in _FIRST_PAGE.finditer(block):
            start = position + match.start()
            if start != group_end:
                starts.append(start)
            group_end = start + _page_size(file, start)
        # A page that begins in the last bytes of a block is found in the next.
        position += len(block) - 5
        file.seek(position)
        block = file.read(_BLOCK)
    file.seek(0)
    return list(pairwise([*starts, size]))


def ogg_is_cut(file: InputFile, stop: int) -> bool:
    """Whether the last page before byte `stop` is not whole. Leaves the file at its start."""
    start = max(0, stop - 2 * _MAX_PAGE)
    file.seek(start)
    tail = file.read(stop - start)
    pages = [match.start() for match in _PAGE.finditer(tail)]
    is_cut = bool(pages) and start + pages[-1] + _page_size(file, start + pages[-1]) > stop
    file.seek(0)
    return is_cut


def ogg_is_finished(tail: bytes) -> bool:
    """Whether a file that ends in these bytes, a page or more, ends in a whole page, the last of its stream."""
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < _HEADER_SIZE or not page[5] & 4:  # the flag "end of stream"
        return False
    end_of_table = _HEADER_SIZE + page[26]
    return len(page) >= end_of_table + sum(page[_HEADER_SIZE:end_of_table])


def ogg_has_one_page(file: InputFile, begin: int, end: int) -> bool:
    """Whether one page holds all samples of a link of one stream. Leaves the file at its start."""
    n_pages, position = 0, begin
    while position < end and n_pages < 2:
        file.seek(position)
        header = file.read(_HEADER_SIZE)
        if not header.startswith(b"OggS"):  # damaged: zeros, say, up to the end
            break
        granule = int.from_bytes(header[6:14], "little", signed=True)
        n_pages += granule > 0  # the pages of the header have 0; one where no packet ends, -1
        position += _page_size(file, position)
    file.seek(0)
    return n_pages == 1


def _page_size(file: InputFile, start: int) -> int:
    """Bytes of the page that begins at byte `start`; the file's position changes."""
    file.seek(start)
    header = file.read(_HEADER_SIZE)
    if len(header) < _HEADER_SIZE:
        return _HEADER_SIZE
    segments = file.read(header[-1])
    return _HEADER_SIZE + header[-1] + sum(segments)
