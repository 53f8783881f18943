"""One name for each meaning of a tag, and which tags are passed on."""

import pytest

from spleeter.audio.metadata import TAG_NAMES, musical_tags, values_of


def test_tags_are_merged_the_first_source_first() -> None:
    assert musical_tags({"title": "a"}, {"title": "b", "artist": "c"}) == {"title": "a", "artist": "c"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("TITLE", "title"), ("TBPM", "bpm"), ("tmpo", "bpm"), ("WM/BeatsPerMinute", "bpm"), ("TKEY", "initialkey"),
        ("lyrics-eng", "lyrics"), ("sort_artist", "artistsort"), ("TSOP", "artistsort"), ("\xa9nam", "title"),
        ("Album Artist", "album_artist"), ("ALBUMARTIST", "album_artist"), ("Year", "date"), ("Mood", "mood"),
        ("MusicBrainz Track Id", "musicbrainz_trackid"), ("Own Name", "Own Name"),
    ],
)  # fmt: skip
def test_every_name_of_a_meaning_becomes_ours_and_others_are_kept(given: str, name: str) -> None:
    assert musical_tags({given: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "key", ["encoder", "major_brand", "iTunSMPB", "REPLAYGAIN_TRACK_GAIN", "R128_TRACK_GAIN", "creation_time", "TLEN"]
)
def test_tags_about_the_file_are_dropped(key: str) -> None:
    assert musical_tags({key: "x"}) == {}


def test_empty_tags_are_dropped() -> None:
    assert musical_tags({"title": ""}, {"title": "t", "artist": ()}) == {"title": "t"}


def test_several_values_are_kept_and_null_characters_separate_them() -> None:
    assert musical_tags({"artist": ("a", "b"), "genre": "c\0d", "title": ("e",)}) == {
        "artist": ("a", "b"),
        "genre": ("c", "d"),
        "title": "e",
    }


def test_numbers_and_totals_are_put_together() -> None:
    tags = {"TRACKNUMBER": "3", "TRACKTOTAL": "12", "disc": "1/2", "TOTALDISCS": "9"}
    assert musical_tags(tags) == {"track": "3/12", "disc": "1/2"}


def test_surrogates_are_replaced() -> None:
    assert values_of("\udcffx") == ("?x",)


def test_no_two_meanings_have_one_name() -> None:
    for column in zip(*TAG_NAMES.values(), strict=True):
        names = [name for name in column if name is not None]
        assert len(set(names)) == len(names)
