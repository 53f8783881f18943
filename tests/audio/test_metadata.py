"""Which tags are passed on, and how a cover is stored in an Ogg comment."""

import base64
import struct

import pytest

from spleeter.audio.metadata import cover_comment, musical_tags
from tests.audio.pictures import picture


def test_tags_are_merged_the_first_source_first() -> None:
    assert musical_tags({"title": "a"}, {"title": "b", "artist": "c"}) == {"title": "a", "artist": "c"}


def test_ffmpegs_own_names_are_in_lower_case_and_others_kept() -> None:
    assert musical_tags({"TITLE": "a", "TBPM": "120", "Mood": "x"}) == {"title": "a", "TBPM": "120", "Mood": "x"}


@pytest.mark.parametrize(
    "key", ["encoder", "major_brand", "iTunSMPB", "REPLAYGAIN_TRACK_GAIN", "R128_TRACK_GAIN", "creation_time", "TLEN"]
)
def test_tags_about_the_file_are_dropped(key: str) -> None:
    assert musical_tags({key: "x"}) == {}


def test_empty_tags_are_dropped() -> None:
    assert musical_tags({"title": ""}, {"title": "t"}) == {"title": "t"}


@pytest.mark.parametrize(("codec", "mime"), [("png", b"image/png"), ("mjpeg", b"image/jpeg")])
def test_the_cover_comment_is_a_flac_picture_block(codec: str, mime: bytes) -> None:
    cover = picture(codec)
    block = base64.b64decode(cover_comment(cover)["METADATA_BLOCK_PICTURE"])
    kind, mime_length = struct.unpack_from(">II", block)
    assert (kind, block[8 : 8 + mime_length]) == (3, mime)
    description, width, height, depth, colours, length = struct.unpack_from(">6I", block, 8 + mime_length)
    assert (description, width, height, depth, colours) == (0, 48, 32, 24, 0)
    assert block[-length:] == cover


@pytest.mark.parametrize("rubbish", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"x" * 1000])
def test_what_is_no_picture_gives_no_comment(rubbish: bytes) -> None:
    assert cover_comment(rubbish) == {}
