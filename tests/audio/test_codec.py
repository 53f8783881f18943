"""What an output may be encoded as, and what the messages about the rest say."""

import pytest

from spleeter.audio.codec import BIT_DEPTHS, Codec, Encoding, codec_of, parse_bitrate, parse_codec
from spleeter.errors import EncodeError


def test_the_originals_codecs_are_there_by_name_and_by_value() -> None:
    for name in ("WAV", "MP3", "OGG", "M4A", "WMA", "FLAC"):
        assert Codec[name] == name.lower()


@pytest.mark.parametrize(
    ("text", "expected"), [("128k", 128_000), ("96000", 96_000), ("1.5M", 1_500_000), (" 320K ", 320_000)]
)
def test_bit_rates_are_read_in_bits_per_second(text: str, expected: int) -> None:
    assert parse_bitrate(text) == expected


@pytest.mark.parametrize("text", ["", "fast", "128kb", "-128k", "12,8k", "1e5", "k", "٣٢", "128", "0"])
def test_other_bit_rates_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(EncodeError, match="bit rate") as caught:
        Encoding(Codec.MP3, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("codec", list(Codec))
def test_a_bit_depth_is_refused_where_there_is_none(codec: Codec) -> None:
    for depth in (8, 16, 24, 32, 64):
        if depth in BIT_DEPTHS.get(codec, ()):
            assert Encoding(codec, bit_depth=depth).bit_depth == depth
        else:
            with pytest.raises(EncodeError, match=f"{codec} .* bit depth of {depth}"):
                Encoding(codec, bit_depth=depth)


@pytest.mark.parametrize("name", ["a.flac", "a.FLAC", "x.wav.flac", "-.flac", "%d.flac", b"a.flac"])
def test_the_extension_names_the_codec(name: str) -> None:
    assert codec_of(name) is Codec.FLAC


@pytest.mark.parametrize("name", ["a", "a.aiff", ".wav", "wav", "a.", ""])
def test_an_unknown_extension_gets_the_list_of_the_known(name: str) -> None:
    with pytest.raises(EncodeError, match=r"\.wav, \.mp3, \.ogg, \.m4a, \.wma, \.flac, \.opus"):
        codec_of(name)


def test_codecs_are_looked_up_by_name() -> None:
    assert parse_codec("MP3") is Codec.MP3
    with pytest.raises(EncodeError, match="unknown codec 'mp4'"):
        parse_codec("mp4")
