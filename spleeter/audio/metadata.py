"""Names of tags: one for each meaning, and what every format calls it; and which tags are passed on to stems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from spleeter.audio.adapter import Tag

__all__ = ["ITUNES", "TAG_NAMES", "TagName", "musical_tags", "values_of"]

ITUNES = "----:com.apple.iTunes:"
"""What the name of an MP4 atom begins with that iTunes has no own one for."""


class TagName(NamedTuple):
    """What the formats call a tag. None: the format has no own name for it, and the Vorbis comment's is used."""

    vorbis: str
    id3: str | None = None
    mp4: str | None = None
    asf: str | None = None


TAG_NAMES: Mapping[str, TagName] = {
    "title": TagName("TITLE", "TIT2", "\xa9nam", "Title"),
    "artist": TagName("ARTIST", "TPE1", "\xa9ART", "Author"),
    "album": TagName("ALBUM", "TALB", "\xa9alb", "WM/AlbumTitle"),
    "album_artist": TagName("ALBUMARTIST", "TPE2", "aART", "WM/AlbumArtist"),
    "composer": TagName("COMPOSER", "TCOM", "\xa9wrt", "WM/Composer"),
    "lyricist": TagName("LYRICIST", "TEXT", None, "WM/Writer"),
    "conductor": TagName("CONDUCTOR", "TPE3", None, "WM/Conductor"),
    "remixer": TagName("REMIXER", "TPE4", None, "WM/ModifiedBy"),
    "genre": TagName("GENRE", "TCON", "\xa9gen", "WM/Genre"),
    "date": TagName("DATE", "TDRC", "\xa9day", "WM/Year"),
    "originaldate": TagName("ORIGINALDATE", "TDOR", None, "WM/OriginalReleaseTime"),
    "track": TagName("TRACKNUMBER", "TRCK", "trkn", "WM/TrackNumber"),
    "disc": TagName("DISCNUMBER", "TPOS", "disk", "WM/PartOfSet"),
    "comment": TagName("COMMENT", "COMM", "\xa9cmt", "Description"),
    "description": TagName("DESCRIPTION", None, "desc", "WM/SubTitleDescription"),
    "lyrics": TagName("LYRICS", "USLT", "\xa9lyr", "WM/Lyrics"),
    "copyright": TagName("COPYRIGHT", "TCOP", "cprt", "Copyright"),
    "publisher": TagName("PUBLISHER", "TPUB", None, "WM/Publisher"),
    "isrc": TagName("ISRC", "TSRC", None, "WM/ISRC"),
    "bpm": TagName("BPM", "TBPM", "tmpo", "WM/BeatsPerMinute"),
    "initialkey": TagName("INITIALKEY", "TKEY", f"{ITUNES}initialkey", "WM/InitialKey"),
    "titlesort": TagName("TITLESORT", "TSOT", "sonm", "WM/TitleSortOrder"),
    "artistsort": TagName("ARTISTSORT", "TSOP", "soar", "WM/ArtistSortOrder"),
    "albumsort": TagName("ALBUMSORT", "TSOA", "soal", "WM/AlbumSortOrder"),
    "albumartistsort": TagName("ALBUMARTISTSORT", "TSO2", "soaa", "WM/AlbumArtistSortOrder"),
    "composersort": TagName("COMPOSERSORT", "TSOC", "soco", "WM/ComposerSortOrder"),
    "grouping": TagName("GROUPING", "TIT1", "\xa9grp", "WM/ContentGroupDescription"),
    "subtitle": TagName("SUBTITLE", "TIT3", None, "WM/SubTitle"),
    "mood": TagName("MOOD", "TMOO", None, "WM/Mood"),
    "compilation": TagName("COMPILATION", "TCMP", "cpil", "WM/IsCompilation"),
    **{
        f"musicbrainz_{key}": TagName(
            f"MUSICBRAINZ_{key.upper()}",
            f"TXXX:MusicBrainz {name}",
            f"{ITUNES}MusicBrainz {name}",
            f"MusicBrainz/{name}",
        )
        for key, name in {
            "trackid": "Track Id",
            "albumid": "Album Id",
            "artistid": "Artist Id",
            "albumartistid": "Album Artist Id",
            "releasegroupid": "Release Group Id",
        }.items()
    },
}
"""Our name of each tag, FFmpeg's where it has one -> the formats' names.

Those of the formats are what Picard writes: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
"""

_OTHER_NAMES = {
    "album artist": "album_artist",
    "author": "artist",
    "year": "date",
    "key": "initialkey",
    "tempo": "bpm",
    "organization": "publisher",
    "unsyncedlyrics": "lyrics",
    "title-sort": "titlesort",
    "artist-sort": "artistsort",
    "album-sort": "albumsort",
    "sort_name": "titlesort",
    "sort_artist": "artistsort",
    "sort_album": "albumsort",
    "sort_album_artist": "albumartistsort",
    "sort_composer": "composersort",
    **dict.fromkeys(("tracktotal", "totaltracks"), "tracktotal"),
    **dict.fromkeys(("disctotal", "totaldiscs"), "disctotal"),
}
"""What other programs, APEv2 tags and FFmpeg call tags -> our name; `_NAMES` has the rest."""

_NAMES = {
    **{name: name for name in TAG_NAMES},
    **{
        key.removeprefix(ITUNES).removeprefix("TXXX:").lower(): name
        for name, names in TAG_NAMES.items()
        for key in names
        if key not in (None, "Description")  # in ASF a comment
    },
    **_OTHER_NAMES,
}

_TECHNICAL = re.compile(
    "encoder|encoded_?by|encoding_settings|handler_name|vendor_id|major_brand|minor_version|compatible_brands"
    "|creation_time|duration|language|bps|number_of_.*|isvbr|deviceconformance.*|wmfsdk.*"
    "|wm/(encoding.*|provider.*|mediaclass.*|wmcollection.*)"
    "|itunsmpb|itunnorm|tlen|tsse|tenc|time_reference|umid|coding_history|originator.*"
    "|replaygain_.*|r128_.*|id3v2_priv.*|_statistics.*|cuesheet|acoustid_fingerprint"
)
"""Tags about the file rather than the music: wrong or harmful on a file of other content and encoding."""


def musical_tags(*sources: Mapping[str, Tag]) -> dict[str, Tag]:
    """Merge tags under our names (the first source wins), without those that describe the file and not the music.

    Names that we have none for are kept as they are. Numbers of tracks and discs are put together: "3/12".
    """
    tags: dict[str, Tag] = {}
    for source in sources:
        for key, tag in source.items():
            name = _NAMES.get(re.sub("^lyrics-.*", "lyrics", key.lower()), key)
            if (values := values_of(tag)) and not _TECHNICAL.fullmatch(name.lower()):
                tags.setdefault(name, values[0] if len(values) == 1 else values)
    for name in ("track", "disc"):
        total = tags.pop(f"{name}total", None)
        if isinstance(total, str) and "/" not in (number := str(tags.get(name, "/"))):
            tags[name] = f"{number}/{total}"
    return tags


def values_of(tag: Tag) -> tuple[str, ...]:
    """The values of a tag as every format can hold them: without surrogates, and split at null characters."""
    texts = (tag,) if isinstance(tag, str) else tag
    parts = (part.encode("utf-8", "replace").decode() for text in texts for part in text.split("\0"))
    return tuple(part for part in parts if part)
