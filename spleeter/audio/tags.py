"""Tags and cover of a file: read from a source, and written into a complete output, with mutagen."""

from __future__ import annotations

import base64
import io
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import av
import mutagen
from mutagen._vorbis import VComment
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.asf import ASF, ASFTags
from mutagen.dsf import DSF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TXXX, USLT, Frames, ID3FileType, TextFrame
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm, MP4Tags
from mutagen.musepack import Musepack
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from spleeter.audio.adapter import AudioMetadata, Tag
from spleeter.audio.files import AV_ERRORS, InputFile, OutputFile
from spleeter.audio.metadata import ITUNES, TAG_NAMES, TagName, musical_tags, values_of
from spleeter.utils.logging import logger
from spleeter.utils.names import reason

__all__ = ["read_tags", "write_tags"]

_FILE_TYPES = (
    ID3FileType, MP4, FLAC, OggVorbis, OggOpus, OggFLAC, OggSpeex, ASF,
    WAVE, AIFF, WavPack, MonkeysAudio, Musepack, DSF,
)  # fmt: skip

_FRONT_COVER = 3
"""The picture type "cover (front)", of ID3, FLAC and ASF alike."""

_LANGUAGE = "eng"
"""Of comments and lyrics in ID3, which must name one: players look for this."""

_MP4_TEXTS = {names.mp4 for names in TAG_NAMES.values()}

_READ_LIMIT = 1 << 26
"""Bytes that tags may take to be read, pictures included."""

_READ_COST = 1 << 10
"""Bytes that a read counts for beyond what it gives, so that their number is bounded too."""


def read_tags(file: InputFile) -> AudioMetadata | None:
    """The tags and the cover of a seekable file, which is left at its start.

    Returns:
        None if mutagen does not know the format, cannot read it, or finds neither.
    """
    try:
        file.seek(0)
        opened = mutagen.File(_TagSource(file), _FILE_TYPES)
        if opened is None or opened.tags is None:
            return None
        found: dict[str, Tag] = {}
        for name, tag in _read(opened.tags):
            found.setdefault(name, tag)
        tags = musical_tags(found)
        pictures = list(_pictures(opened))
    except Exception as error:  # damaged files make it raise anything, and a song must not fail because of tags
        logger.debug("%s: FFmpeg reads its tags, because mutagen cannot (%s)", file.label, reason(error))
        return None
    finally:
        file.seek(0)
    cover = next((data for kind, data in pictures if kind == _FRONT_COVER), pictures[0][1] if pictures else None)
    return AudioMetadata(tags, cover) if tags or cover else None


def write_tags(file: OutputFile, metadata: AudioMetadata) -> None:
    """Write tags and cover into a file that is complete but for these, as far as its format can hold them.

    The cover becomes the front cover. Never fails: a file that they do not fit into goes without, with a warning.
    """
    picture = _Picture.of(metadata.cover) if metadata.cover else None
    attempts = [picture, None] if picture else [None]
    for cover in attempts if metadata.tags or picture else []:
        try:
            file.seek(0)
            opened = mutagen.File(file, _FILE_TYPES)
            if opened is None:
                raise ValueError("mutagen does not know such a file")
            if opened.tags is None:
                opened.add_tags()
            _write(opened, metadata.tags, cover)
            file.seek(0)
            opened.save(file)
        except Exception as error:  # mutagen checks before it writes
            what = "cover" if cover else "tags"
            logger.warning("%s: its %s could not be written (%s)", file.label, what, reason(error))
        else:
            return


class _TagSource:
    """An input file as mutagen reads it: what fails is raised, and what is read is bounded."""

    def __init__(self, file: InputFile) -> None:
        self._file, self.name = file, file.name
        self.tell = file.tell
        self._n_left = _READ_LIMIT

    def read(self, size: int = -1) -> bytes:
        size = self._n_left if size < 0 else size
        if size > self._n_left:
            raise ValueError(f"they claim to be larger than {_READ_LIMIT >> 20} MiB")
        block = self._file.read(size)
        self._n_left -= len(block) + _READ_COST
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = self._file.seek(offset, whence)
        if position < 0:
            raise OSError(-position, "it cannot be read there")
        return position


class _Picture(NamedTuple):
    """A JPEG or PNG picture, which every player knows."""

    data: bytes
    is_png: bool
    width: int
    height: int

    @classmethod
    def of(cls, data: bytes) -> _Picture | None:
        """None if FFmpeg finds neither in it."""
        try:
            with av.open(io.BytesIO(data), "r") as file:
                context = file.streams.video[0].codec_context
                if context.name not in ("mjpeg", "png") or not context.width:
                    return None
                return cls(data, context.name == "png", context.width, context.height)
        except AV_ERRORS:
            return None

    @property
    def mime(self) -> str:
        return "image/png" if self.is_png else "image/jpeg"

    @property
    def block(self) -> Picture:
        """As FLAC has it."""
        block = Picture()
        block.type, block.mime, block.data = _FRONT_COVER, self.mime, self.data
        block.width, block.height, block.depth = self.width, self.height, 24
        return block


# --- reading ----------------------------------------------------------------------------------------------------


def _read(tags: Any) -> Iterator[tuple[str, Tag]]:
    """The name, as the format has it, and the values of each tag."""
    if isinstance(tags, ID3):
        yield from _read_id3(tags)
    elif isinstance(tags, MP4Tags):
        yield from _read_mp4(tags)
    elif isinstance(tags, ASFTags):
        for name in dict.fromkeys(name for name, _ in tags):
            texts = tuple(str(value) for value in tags[name] if isinstance(value.value, str | int))
            yield {"Description": "comment"}.get(name, name), texts
    elif isinstance(tags, APEv2):
        yield from ((name, tuple(value)) for name, value in tags.items() if value.kind == 0)
    else:
        names = {name.lower(): name for name, _ in tags}
        yield from ((name, tuple(tags[name])) for key, name in names.items() if key != "metadata_block_picture")


def _read_id3(tags: ID3) -> Iterator[tuple[str, Tag]]:
    for frame in tags.values():
        if isinstance(frame, COMM):
            if not frame.desc:
                yield "comment", tuple(frame.text)
        elif isinstance(frame, USLT):
            yield "lyrics", frame.text
        elif isinstance(frame, TXXX):
            yield frame.desc, tuple(frame.text)
        elif isinstance(frame, TextFrame):
            texts = frame.genres if frame.FrameID == "TCON" else frame.text
            yield frame.FrameID, tuple(map(str, texts))


def _read_mp4(tags: MP4Tags) -> Iterator[tuple[str, Tag]]:
    for name, values in tags.items():
        if name in ("trkn", "disk"):
            yield name, tuple(f"{number}/{total}" if total else str(number) for number, total in values if number)
        elif name == "cpil":
            yield name, "1" if values else ""
        elif name == "tmpo":
            yield name, tuple(str(value) for value in values if value)
        elif name.startswith("----"):
            yield name.split(":", 2)[-1], tuple(bytes(value).decode("utf-8", "replace") for value in values)
        elif name in _MP4_TEXTS:
            yield name, tuple(values)


def _pictures(opened: Any) -> Iterator[tuple[int, bytes]]:
    """The type and the data of each picture."""
    tags = opened.tags
    if isinstance(tags, ID3):
        yield from ((frame.type, frame.data) for frame in tags.getall("APIC"))
    elif isinstance(tags, MP4Tags):
        yield from ((_FRONT_COVER, bytes(data)) for data in tags.get("covr", []))
    elif isinstance(tags, ASFTags):
        for value in tags.get("WM/Picture", []):
            kind, size = struct.unpack_from("<BI", value.value)
            yield kind, value.value[-size:]
    elif isinstance(tags, APEv2):
        if (value := tags.get("Cover Art (Front)")) is not None:
            yield _FRONT_COVER, value.value.split(b"\0", 1)[-1]
    elif isinstance(opened, FLAC):
        yield from ((picture.type, picture.data) for picture in opened.pictures)
    else:
        for text in tags.get("metadata_block_picture", []):
            picture = Picture(base64.b64decode(text))
            yield picture.type, picture.data


# --- writing ----------------------------------------------------------------------------------------------------


def _write(opened: Any, tags: Mapping[str, Tag], cover: _Picture | None) -> None:
    """Put tags and cover into those of an opened file, which is not saved yet."""
    kind = next(kind for kind in (ID3, MP4Tags, ASFTags, VComment) if isinstance(opened.tags, kind))
    for name, tag in tags.items():
        values = values_of(tag)
        if values and re.fullmatch("[ -<>-}]+", name):  # what a Vorbis comment may be called
            _TAG_WRITERS[kind](opened.tags, name, TAG_NAMES.get(name, TagName(name)), values)
    if cover is None:
        return
    if kind is ID3:
        opened.tags.add(APIC(encoding=3, mime=cover.mime, type=_FRONT_COVER, desc="", data=cover.data))
    elif kind is MP4Tags:
        opened.tags["covr"] = [MP4Cover(cover.data, MP4Cover.FORMAT_PNG if cover.is_png else MP4Cover.FORMAT_JPEG)]
    elif kind is ASFTags:
        head = struct.pack("<BI", _FRONT_COVER, len(cover.data))
        opened.tags["WM/Picture"] = [head + f"{cover.mime}\0\0".encode("utf-16-le") + cover.data]
    elif isinstance(opened, FLAC):
        opened.add_picture(cover.block)
    else:
        opened.tags["METADATA_BLOCK_PICTURE"] = [base64.b64encode(cover.block.write()).decode("ascii")]


def _write_id3(tags: ID3, name: str, names: TagName, values: tuple[str, ...]) -> None:
    frame_id = names.id3 or name
    if frame_id.startswith(TXXX.__name__):
        tags.add(TXXX(encoding=3, desc=frame_id.partition(":")[2], text=list(values)))
    elif frame_id == "COMM":
        tags.add(COMM(encoding=3, lang=_LANGUAGE, desc="", text=list(values)))
    elif frame_id == "USLT":
        tags.add(USLT(encoding=3, lang=_LANGUAGE, desc="", text="\n".join(values)))
    elif issubclass(Frames.get(frame_id, TXXX), TXXX) or not issubclass(Frames[frame_id], TextFrame):
        tags.add(TXXX(encoding=3, desc=names.vorbis, text=list(values)))
    else:
        tags.add(Frames[frame_id](encoding=3, text=list(values)))


def _write_mp4(tags: MP4Tags, name: str, names: TagName, values: tuple[str, ...]) -> None:
    atom = names.mp4 or f"{ITUNES}{names.vorbis}"
    number = re.match(r"\s*(\d{1,5})(?:\.\d*)?(?:/(\d{1,5}))?", values[0])
    if atom in ("trkn", "disk", "tmpo"):
        if number and all(int(part or 0) < 1 << 16 for part in number.groups()):
            tags[atom] = [int(number[1])] if atom == "tmpo" else [(int(number[1]), int(number[2] or 0))]
    elif atom == "cpil":
        tags[atom] = values[0].lower() in ("1", "true", "yes")
    elif atom.startswith(ITUNES):
        tags[atom] = [MP4FreeForm(value.encode()) for value in values]
    else:
        tags[atom] = list(values)


def _write_asf(tags: ASFTags, name: str, names: TagName, values: tuple[str, ...]) -> None:
    tags[names.asf or names.vorbis] = list(values)


def _write_vorbis(tags: VComment, name: str, names: TagName, values: tuple[str, ...]) -> None:
    number, slash, total = values[0].partition("/")
    if name in ("track", "disc") and slash:
        tags[names.vorbis], tags[f"{name}total".upper()] = [number], [total]
    else:
        tags[names.vorbis] = list(values)


_TAG_WRITERS: Mapping[type, Callable[[Any, str, TagName, tuple[str, ...]], None]] = {
    ID3: _write_id3,
    MP4Tags: _write_mp4,
    ASFTags: _write_asf,
    VComment: _write_vorbis,
}
