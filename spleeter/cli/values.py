"""Values of options that are more than a number or a word: times, gains, lists of stems."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from typer import BadParameter

from spleeter.audio.codec import Codec
from spleeter.utils.spelling import did_you_mean

__all__ = ["parse_codec_name", "parse_mixes", "parse_names", "parse_seconds"]

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]?\d(?:\.\d*)?)")
"""[hours:]minutes:seconds"""

_TERM = re.compile(r"(?:(?P<gain>[^*]*)\*)?(?P<stem>[^*]*)")
"""[gain*]stem"""

_CODEC_ALIASES = {
    "aac": "m4a",
    "mp4": "m4a",
    "alac": "flac",
    "vorbis": "ogg",
    "oga": "ogg",
    "wave": "wav",
    "pcm": "wav",
    "aiff": "wav",
    "mpeg": "mp3",
    "lame": "mp3",
}
"""What people call a codec, or would have in its place -> the codec."""


def parse_seconds(text: str | float, option: str) -> float:
    """A time, as seconds ("90", "12.5") or as [hours:]minutes:seconds ("1:30", "1:02:03.5"), in seconds.

    Raises:
        BadParameter: if it is neither, or below 0.
    """
    if clock := _CLOCK.fullmatch(str(text).strip()):
        hours, minutes, seconds = clock.groups(default="0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise BadParameter(
            f"{str(text)!r} is no time: write seconds from 0 on, such as 90 or 12.5, or 1:30 or 1:02:03.5",
            param_hint=option,
        )
    return number


def parse_names(text: str) -> list[str]:
    """Names with commas between them: "vocals, drums"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_codec_name(text: str) -> Codec:
    """A codec by its name. Raises BadParameter, with the nearest codec for a name of something like it."""
    try:
        return Codec(str(text).lower())
    except ValueError as error:
        hint = did_you_mean(text, Codec, aliases=_CODEC_ALIASES)
        raise BadParameter(
            f"unknown codec {str(text)!r}: choose {', '.join(Codec)}{hint}", param_hint="--codec"
        ) from error


def parse_mixes(mixes: Iterable[str]) -> dict[str, dict[str, float]]:
    """Mixes, "NAME=STEM+GAIN*STEM" each, as name -> stem -> linear gain; a gain is linear, or in decibels as "-6dB".

    Raises:
        BadParameter: if one is not written so, or a name or a stem of a mix comes twice.
    """
    parsed: dict[str, dict[str, float]] = {}
    for mix in mixes:
        name, equals, terms = (part.strip() for part in mix.partition("="))
        if not equals or name in parsed:
            raise _bad_mix(mix, "write NAME=STEM+STEM, or NAME=0.5*STEM+STEM, each NAME once")
        gains: dict[str, float] = {}
        for term in filter(None, map(str.strip, terms.split("+"))):  # the sign of "+3dB" goes too
            match = _TERM.fullmatch(term)
            if match is None:
                raise _bad_mix(mix, f"{term!r} is not GAIN*STEM")
            stem = match["stem"].strip()
            if stem in gains:
                raise _bad_mix(mix, f"it names {stem!r} twice")
            gains[stem] = _linear_gain(mix, match["gain"])
        parsed[name] = gains
    return parsed


def _linear_gain(mix: str, text: str | None) -> float:
    if text is None:
        return 1.0
    is_in_decibels = text.strip().lower().endswith("db")
    try:
        number = float(text.strip()[:-2] if is_in_decibels else text)
        gain = 10 ** (number / 20) if is_in_decibels else number
    except (ValueError, OverflowError):
        gain = math.nan
    if not math.isfinite(gain):
        raise _bad_mix(mix, f"{text.strip()!r} is no gain: write a number such as 0.5, or decibels such as -6dB")
    return gain


def _bad_mix(mix: str, what: str) -> BadParameter:
    return BadParameter(f"{mix!r}: {what}", param_hint="--mix")
