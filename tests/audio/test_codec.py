"""What an output may be encoded as, and the messages about everything else."""

import io

import pytest

from spleeter.audio.codec import AUDIO_EXTENSIONS, Codec, Encoding, codec_of, parse_bitrate, parse_codec
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
def test_only_wav_and_flac_have_bit_depths_to_choose_from(codec: Codec) -> None:
    allowed = {Codec.WAV: (16, 24, 32), Codec.FLAC: (16, 24)}.get(codec, ())
    for depth in (8, 16, 24, 32, 64):
        if depth in allowed:
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


@pytest.mark.parametrize("codec", list(Codec))
def test_what_is_written_is_found_in_a_folder(codec: Codec) -> None:
    assert f".{codec}" in AUDIO_EXTENSIONS


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("rate", [1, 7_000, 8_000, 44_100, 48_000, 192_000, 400_000])
def test_a_rate_is_kept_or_raised_where_the_codec_can_hold_that(codec: Codec, rate: int) -> None:
    held = codec.spec.sample_rate_for(rate)
    assert held == codec.spec.sample_rate_for(held)
    assert held >= rate or codec.spec.sample_rate_for(held + 1) == held  # its highest


def test_a_file_object_names_no_codec() -> None:
    with pytest.raises(EncodeError, match="give the codec"):
        codec_of(io.BytesIO())


def test_codecs_are_looked_up_by_name() -> None:
    assert parse_codec("MP3") is Codec.MP3
    with pytest.raises(EncodeError, match="unknown codec 'mp4'"):
        parse_codec("mp4")
