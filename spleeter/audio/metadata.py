"""Tags and cover picture: which of a file's are passed on to its stems, and how a cover is stored."""

from __future__ import annotations

import base64
import io
import re
import struct
from collections.abc import Mapping
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from spleeter.audio.files import AV_ERRORS

__all__ = ["add_cover", "cover_comment", "musical_tags"]

_COMMON = frozenset(
    {"title", "artist", "album", "album_artist", "composer", "performer", "genre", "date", "track", "disc"}
    | {"comment", "copyright", "description", "lyrics", "publisher", "isrc", "bpm"}
)
"""FFmpeg's own names of tags, which some containers give in upper case."""

_TECHNICAL = re.compile(
    "encoder|encoded_by|encoding_settings|handler_name|vendor_id|major_brand|minor_version|compatible_brands"
    "|creation_time|duration|language|bps|number_of_.*|isvbr|deviceconformance.*|wmfsdk.*|wm/(encodingtime|provider.*)"
    "|itunsmpb|itunnorm|tlen|tsse|time_reference|umid|coding_history|originator.*"
    "|replaygain_.*|r128_.*|id3v2_priv.*|_statistics.*|cuesheet"
)
"""Tags about the file rather than the music: wrong or harmful on a file of other content and encoding."""

_FRONT_COVER = 3  # the picture type "cover (front)", of ID3 and FLAC alike


def musical_tags(*sources: Mapping[str, str]) -> dict[str, str]:
    """Merge tags (the first source wins), without those that describe the file and not the music."""
    tags: dict[str, str] = {}
    for source in sources:
        for key, value in source.items():
            name = key.lower()
            if value and not _TECHNICAL.fullmatch(name):
                tags.setdefault(name if name in _COMMON else key, value)
    return tags


def add_cover(container: OutputContainer, cover: bytes) -> Packet[Stream] | None:
    """Add a picture stream for a cover to an output container, before its header is written.

    Returns:
        The packet to mux first; None if the picture is neither JPEG nor PNG, which every player knows.
    """
    opened = _open_picture(cover)
    if opened is None:
        return None
    picture, packet = opened
    stream = container.add_mux_stream(
        picture.codec_context.name, width=picture.codec_context.width, height=picture.codec_context.height
    )
    stream.disposition = Disposition.attached_pic
    packet.stream = stream
    return packet


def cover_comment(cover: bytes) -> dict[str, str]:
    """A cover picture as the Vorbis comment that Ogg files store it in: a FLAC picture block, base64 encoded.

    Returns:
        The one tag; none if the picture is neither JPEG nor PNG.

    The layout of the block: https://www.rfc-editor.org/rfc/rfc9639#name-picture
    """
    opened = _open_picture(cover)
    if opened is None:
        return {}
    context = opened[0].codec_context
    mime = b"image/png" if context.name == "png" else b"image/jpeg"
    head = struct.pack(f">II{len(mime)}sI", _FRONT_COVER, len(mime), mime, 0)
    size = struct.pack(">IIIII", context.width, context.height, 24, 0, len(cover))
    return {"METADATA_BLOCK_PICTURE": base64.b64encode(head + size + cover).decode("ascii")}


def _open_picture(cover: bytes) -> tuple[VideoStream, Packet[Any]] | None:
    """The stream of a JPEG or PNG picture and its one packet; None if FFmpeg finds neither."""
    try:
        with av.open(io.BytesIO(cover), "r") as file:
            picture = file.streams.video[0]
            is_usable = picture.codec_context.name in ("mjpeg", "png") and picture.codec_context.width
            return (picture, next(file.demux(picture))) if is_usable else None
    except (*AV_ERRORS, StopIteration):
        return None
