"""How many samples a WAV file's header promises; FFmpeg goes by the file's size instead."""

from __future__ import annotations

import struct

from spleeter.audio.inputfile import InputFile

_PCM_TAGS = (1, 3, 0xFFFE)  # integers, floats, "extensible" (either of the two)
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # written by programs that could not come back to correct them


def samples_promised(file: InputFile) -> int | None:
    """Read a RIFF or RF64 header from the start of a seekable file, and leave the file at its start.

    Returns:
        Samples per channel in the data chunk according to its header; None if the file is no uncompressed
        WAV, or its header does not say.
    """
    try:
        file.seek(0)
        return _walk(file)
    except struct.error:  # the header itself is cut off
        return None
    finally:
        file.seek(0)


def _walk(file: InputFile) -> int | None:
    form, _, kind = struct.unpack("<4sI4s", file.read(12))
    if form not in (b"RIFF", b"RF64") or kind != b"WAVE":
        return None
    frame_size = wide_size = 0
    while True:
        chunk, size = struct.unpack("<4sI", file.read(8))
        if chunk == b"data":
            n_bytes = wide_size if form == b"RF64" and size == 0xFFFFFFFF else size
            return n_bytes // frame_size if frame_size and n_bytes not in _UNKNOWN_SIZES else None
        start = file.tell()
        if chunk == b"ds64":
            _, wide_size = struct.unpack("<QQ", file.read(16))
        elif chunk == b"fmt ":
            tag, frame_size = struct.unpack("<H10xH", file.read(14))
            frame_size = frame_size if tag in _PCM_TAGS else 0
        file.seek(start + size + size % 2)
