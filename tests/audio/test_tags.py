"""Tags keep their meaning between formats; mutagen and ffprobe, which know nothing of us, say what they are."""

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TBPM, TIT2, TKEY, TPE1, TSOP, TSRC, TXXX, USLT
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.pyav import PyAVAudioAdapter
from tests.audio.pictures import picture
from tests.audio.signals import lag, synthetic

NOISE = synthetic(20_000, 48_000)
ITUNES = "----:com.apple.iTunes:"
MEANINGS: dict[str, Any] = {
    "title": "Déjà vu", "artist": ("Ann", "Bob"), "bpm": "128", "initialkey": "Am", "isrc": "USRC17607839",
    "artistsort": "B, Ann", "comment": "hello", "lyrics": "la la\nla", "Own": "x",
}  # fmt: skip


def write(path: Path, codec: Codec, metadata: AudioMetadata) -> None:
    PyAVAudioAdapter().create(path, 48_000, 2, Encoding(codec), metadata).write_all([NOISE])


def read(path: Path) -> AudioMetadata:
    with PyAVAudioAdapter().open(path) as reader:
        return reader.metadata


def tag_id3(path: Path) -> None:
    tags = ID3()
    tags.add(TIT2(3, text="Déjà vu"))
    tags.add(TPE1(3, text=["Ann", "Bob"]))
    tags.add(TBPM(3, text="128"))
    tags.add(TKEY(3, text="Am"))
    tags.add(TSRC(3, text="USRC17607839"))
    tags.add(TSOP(3, text="B, Ann"))
    tags.add(COMM(3, lang="deu", desc="", text="hello"))
    tags.add(COMM(3, lang="eng", desc="iTunNORM", text=" 00000AB"))
    tags.add(USLT(3, lang="eng", desc="", text="la la\nla"))
    tags.add(TXXX(3, desc="Own", text="x"))
    tags.add(APIC(3, mime="image/png", type=4, desc="back", data=picture("png")))
    tags.add(APIC(3, mime="image/jpeg", type=3, desc="front", data=picture("mjpeg")))
    tags.save(path)


def tag_mp4(path: Path) -> None:
    opened = MP4(path)
    opened["\xa9nam"], opened["\xa9ART"], opened["tmpo"] = "Déjà vu", ["Ann", "Bob"], [128]
    opened["soar"], opened["\xa9cmt"], opened["\xa9lyr"] = "B, Ann", "hello", "la la\nla"
    for name, text in (("initialkey", "Am"), ("ISRC", "USRC17607839"), ("Own", "x"), ("iTunSMPB", "0 840")):
        opened[ITUNES + name] = MP4FreeForm(text.encode())
    opened["covr"] = [MP4Cover(picture("mjpeg"), MP4Cover.FORMAT_JPEG)]
    opened.save()


def tag_vorbis(path: Path) -> None:
    opened = mutagen.File(path)
    for name, value in {
        "TITLE": "Déjà vu", "ARTIST": ["Ann", "Bob"], "bpm": "128", "INITIALKEY": "Am", "ISRC": "USRC17607839",
        "ARTISTSORT": "B, Ann", "COMMENT": "hello", "LYRICS": "la la\nla", "Own": "x",
        "REPLAYGAIN_TRACK_GAIN": "-7 dB",
    }.items():  # fmt: skip
        opened[name] = value
    for kind, codec in ((4, "png"), (3, "mjpeg")):
        block = Picture()
        block.type, block.mime, block.data = kind, "image/jpeg", picture(codec)
        if isinstance(opened, FLAC):
            opened.add_picture(block)
        else:
            blocks = [*opened.get("metadata_block_picture", []), base64.b64encode(block.write()).decode()]
            opened["metadata_block_picture"] = blocks
    opened.save()


SOURCES = {"mp3": tag_id3, "m4a": tag_mp4, "flac": tag_vorbis, "ogg": tag_vorbis, "opus": tag_vorbis}


@pytest.mark.parametrize("source", SOURCES)
def test_whatever_the_format_is_the_same_is_read(source: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{source}"
    write(path, Codec(source), AudioMetadata())
    SOURCES[source](path)
    assert read(path) == AudioMetadata(MEANINGS, picture("mjpeg")), "the front cover, whatever comes first"


@pytest.mark.parametrize("codec", [Codec.WAV, Codec.MP3])
def test_id3_has_its_own_frames(codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "a", codec, AudioMetadata({**MEANINGS, "track": "3/12"}, picture("png")))
    tags = mutagen.File(tmp_path / "a").tags
    texts = {"TIT2": ["Déjà vu"], "TPE1": ["Ann", "Bob"], "TBPM": ["128"], "TKEY": ["Am"], "TSRC": ["USRC17607839"]}
    texts |= {"TSOP": ["B, Ann"], "COMM::eng": ["hello"], "TXXX:Own": ["x"], "TRCK": ["3/12"]}
    assert {name: tags[name].text for name in texts} == texts
    assert tags["USLT::eng"].text == "la la\nla"
    assert [(frame.type, frame.data) for frame in tags.getall("APIC")] == [(3, picture("png"))]


def test_m4a_has_its_own_atoms(tmp_path: Path) -> None:
    write(tmp_path / "a", Codec.M4A, AudioMetadata({**MEANINGS, "track": "3/12"}, picture("png")))
    tags = MP4(tmp_path / "a").tags
    texts = {"\xa9nam": ["Déjà vu"], "\xa9ART": ["Ann", "Bob"], "tmpo": [128], "soar": ["B, Ann"], "trkn": [(3, 12)]}
    texts |= {"\xa9cmt": ["hello"], "\xa9lyr": ["la la\nla"], "covr": [picture("png")]}
    assert {name: tags[name] for name in texts} == texts
    names = {"initialkey": b"Am", "ISRC": b"USRC17607839", "Own": b"x"}
    assert {name: bytes(tags[ITUNES + name][0]) for name in names} == names


@pytest.mark.parametrize("codec", [Codec.FLAC, Codec.OGG, Codec.OPUS])
def test_vorbis_comments_have_the_names_that_everyone_uses(codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "a", codec, AudioMetadata({**MEANINGS, "track": "3/12", "album_artist": "AA"}, picture("png")))
    tags = dict(mutagen.File(tmp_path / "a").tags)
    expected = {"ARTIST": ["Ann", "Bob"], "BPM": ["128"], "INITIALKEY": ["Am"], "ISRC": ["USRC17607839"]}
    expected |= {"ARTISTSORT": ["B, Ann"], "COMMENT": ["hello"], "LYRICS": ["la la\nla"], "OWN": ["x"]}
    expected |= {"TRACKNUMBER": ["3"], "TRACKTOTAL": ["12"], "ALBUMARTIST": ["AA"], "TITLE": ["Déjà vu"]}
    assert {name: tags[name.lower()] for name in expected} == expected


def test_wma_has_its_own_attributes(tmp_path: Path) -> None:
    write(tmp_path / "a", Codec.WMA, AudioMetadata(MEANINGS))
    tags = mutagen.File(tmp_path / "a").tags
    expected = {"Title": ["Déjà vu"], "Author": ["Ann", "Bob"], "WM/BeatsPerMinute": ["128"], "WM/InitialKey": ["Am"]}
    expected |= {"WM/ISRC": ["USRC17607839"], "WM/ArtistSortOrder": ["B, Ann"], "Description": ["hello"]}
    assert {name: [str(value) for value in tags[name]] for name in expected} == expected


@pytest.mark.parametrize("codec", list(Codec))
def test_players_by_ffmpeg_see_the_tags_too(codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "a", codec, AudioMetadata({"title": "t", "artist": "a", "comment": "c"}))
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", tmp_path / "a"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    parsed = json.loads(shown)
    tags = {**parsed["format"].get("tags", {}), **parsed["streams"][0].get("tags", {})}
    tags = {name.lower(): value for name, value in tags.items()}
    assert (tags["title"], tags["artist"], tags["comment"]) == ("t", "a", "c")


@pytest.mark.parametrize("codec", list(Codec))
def test_a_file_object_is_given_tags_too(codec: Codec) -> None:
    target = io.BytesIO()
    PyAVAudioAdapter().create(target, 48_000, 2, Encoding(codec), AudioMetadata(MEANINGS)).write_all([NOISE])
    target.seek(0)
    with PyAVAudioAdapter().open(target) as reader:
        assert reader.metadata.tags == {**MEANINGS, **({"OWN": "x"} if "OWN" in reader.metadata.tags else {})}


def test_matroska_is_read_by_ffmpeg(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", Codec.FLAC, AudioMetadata({"title": "t", "bpm": "120"}))
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.flac", "-c", "copy", tmp_path / "a.mka"], check=True)
    tags = read(tmp_path / "a.mka").tags
    assert (tags["title"], tags["bpm"]) == ("t", "120")


ODD = {
    "long lyrics": AudioMetadata({"lyrics": "la " * 40_000}),
    "surrogates and null characters": AudioMetadata(
        {"title": "\udcff\0x", "artist": "\0", "": "y", "a=b": "z", "ü": "u"}
    ),
    "numbers that are none": AudioMetadata({"track": "A1", "disc": "1/x", "bpm": "fast", "date": "May 1999"}),
    "numbers beyond their fields": AudioMetadata({"track": "99999999", "bpm": "1e99", "compilation": "maybe"}),
    "a cover beyond FLAC's blocks": AudioMetadata({"title": "t"}, picture("png") + bytes(20_000_000)),
    "rubbish for a cover": AudioMetadata({"title": "t"}, b"\x89PNG\r\n\x1a\n"),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("codec", list(Codec))
def test_odd_tags_never_fail_a_song(codec: Codec, odd: str, tmp_path: Path) -> None:
    write(tmp_path / "a", codec, ODD[odd])
    waveform, rate = PyAVAudioAdapter().load(tmp_path / "a")
    assert rate == 48_000
    assert lag(waveform, NOISE) == 0
    tags = read(tmp_path / "a").tags
    if "title" in ODD[odd].tags:
        assert tags["title"] in ("t", ("?", "x"))
    if "lyrics" in ODD[odd].tags:
        assert tags["lyrics"] == "la " * 40_000


@pytest.mark.parametrize("codec", [Codec.M4A, Codec.MP3, Codec.FLAC, Codec.WMA])
def test_broken_tags_never_fail_a_song(codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "a", codec, AudioMetadata(MEANINGS, picture("png")))
    content = (tmp_path / "a").read_bytes()
    for name in (b"Author", b"ARTIST", b"\xa9ART", b"trkn", b"TPE1", b"USLT"):
        content = content.replace(name, bytes(256 - byte for byte in name))
    (tmp_path / "b").write_bytes(content)
    assert lag(PyAVAudioAdapter().load(tmp_path / "b")[0], NOISE) == 0


@pytest.mark.parametrize("codec", list(Codec))
def test_tags_leave_the_samples_as_they_are(codec: Codec, tmp_path: Path) -> None:
    write(tmp_path / "plain", codec, AudioMetadata())
    write(tmp_path / "tagged", codec, AudioMetadata(MEANINGS, picture("png")))
    plain, tagged = (PyAVAudioAdapter().load(tmp_path / name)[0] for name in ("plain", "tagged"))
    np.testing.assert_array_equal(tagged, plain)
