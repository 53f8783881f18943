"""Quality, bandwidth and `exact`, and what is written: what they choose, and what is refused."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_args

import numpy as np
import pytest

from spleeter.audio.adapter import AudioReader
from spleeter.audio.codec import Codec, CodecName
from spleeter.configuration import Configuration
from spleeter.errors import ConfigurationError, DecodeError, EncodeError, OutputError
from spleeter.pipeline.options import PRESETS, Input, Output, Quality, QualityName, configure
from tests.conftest import TINY


def configured(descriptor: Any, bandwidth: str | None = None) -> Configuration:
    """The configuration alone, at the usual quality."""
    return configure(descriptor, bandwidth=bandwidth)[0]


def test_presets_go_from_cheap_to_dear() -> None:
    def cost(quality: Quality) -> float:
        return quality.shifts / (1 - quality.overlap)

    costs = [cost(Quality.preset(name)) for name in ("fast", "balanced", "best")]
    assert list(PRESETS) == ["fast", "balanced", "best"]
    assert costs == sorted(set(costs))
    assert Quality.preset("fast") == Quality()


def test_changes_leave_the_rest_of_a_preset() -> None:
    best = Quality.preset("best")
    assert best.with_changes() == best
    assert best.with_changes(overlap=0.1) == Quality(0.1, best.shifts, best.mwf)
    assert best.with_changes(shifts=7) == Quality(best.overlap, 7, best.mwf)
    assert Quality().with_changes(mwf=True) == Quality(mwf=True)
    assert best.with_changes(mwf=False).mwf, "what a preset has is not taken away"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overlap": -0.1}, "overlap -0.1 is out of range: choose 0 to 0.9"),
        ({"overlap": 1.0}, "overlap 1 is out of range"),
        ({"overlap": float("nan")}, "overlap nan is out of range"),
        ({"shifts": 0}, "shifts 0 is out of range: choose a whole number from 1 to 64"),
        ({"shifts": 65}, "shifts 65 is out of range"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Quality(**arguments)  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown quality 'great': choose fast, balanced, best"):
        Quality.preset("great")


@pytest.mark.parametrize("name", Configuration.embedded_names())
def test_the_released_models_have_the_full_bandwidth_by_default(name: str) -> None:
    original = Configuration.load(f"spleeter:{name}")
    full = configured(f"spleeter:{name}")
    assert full.mask_extension == "average"
    assert {**full.to_dict(), "mask_extension": original.mask_extension} == original.to_dict()


def test_what_a_file_a_mapping_or_an_object_says_is_left_as_it_is(tmp_path: Path) -> None:
    mapping = {**TINY, "mask_extension": "zeros"}
    configuration = Configuration.load(mapping)
    (tmp_path / "my.json").write_text(configuration.to_json())
    for descriptor in (mapping, configuration, tmp_path / "my.json"):
        assert configured(descriptor) == configuration


@pytest.mark.parametrize(
    ("bandwidth", "F", "extension"), [("11k", 1024, "zeros"), ("16k", 1536, "zeros"), ("full", 1024, "average")]
)
def test_bandwidths_of_the_released_models(bandwidth: str, F: int, extension: str) -> None:
    configuration = configured("spleeter:2stems", bandwidth)
    assert (configuration.F, configuration.mask_extension) == (F, extension)


def test_16k_is_the_originals_16khz_configuration() -> None:
    assert configured("spleeter:4stems", "16k") == Configuration.load("spleeter:4stems-16kHz")
    assert configured("spleeter:4stems-16kHz", "11k") == Configuration.load("spleeter:4stems")


def test_a_bandwidth_beyond_the_spectrum_ends_with_it() -> None:
    low = Configuration.load({**TINY, "sample_rate": 22050, "F": 512})
    assert configured(low, "16k").F == 512


def test_a_network_bound_to_its_bins_has_no_other_bandwidth() -> None:
    bound = Configuration.load({**TINY, "model": {"type": "blstm.blstm", "params": {}}, "mask_extension": "zeros"})
    with pytest.raises(ConfigurationError, match=r"bandwidth '16k' is for U-Nets.*'blstm.blstm' is bound to 512"):
        configured(bound, "16k")
    assert configured(bound, "full").mask_extension == "average"


def test_an_unknown_bandwidth_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown bandwidth '12k': choose 11k, 16k, full"):
        configured("spleeter:2stems", "12k")


@pytest.mark.parametrize("extension", ["zeros", "average"])
def test_exact_is_the_configuration_as_it_is_but_for_the_originals_wiener_filter(extension: str) -> None:
    written = Configuration.load({**TINY, "mask_extension": extension})
    with_filter = {**written.to_dict(), "MWF": True}
    assert configure(written, exact=True) == (written, Quality())
    for descriptor, mwf in ((written, True), (with_filter, False)):
        configuration, quality = configure(descriptor, mwf=mwf, exact=True)
        assert configuration.mask_extension == "zeros"
        assert quality == Quality(mwf=True)


@pytest.mark.parametrize("other", [{"quality": "fast"}, {"quality": Quality()}, {"bandwidth": "full"}])
def test_exact_contradicts_other_options(other: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"leave out quality \(overlap, shifts\), bandwidth and precision"):
        configure("spleeter:2stems", exact=True, **other)


@pytest.mark.parametrize("quality", ["fast", Quality(overlap=0.25, shifts=3)])
def test_the_filter_of_a_configuration_or_a_caller_is_added_to_any_quality(quality: str | Quality) -> None:
    configuration = Configuration.load(TINY)
    plain, asked, written = (
        configure(descriptor, quality=quality, mwf=mwf)[1]
        for descriptor, mwf in ((TINY, False), (TINY, True), ({**configuration.to_dict(), "MWF": True}, False))
    )
    assert not plain.mwf
    assert asked == written == plain.with_changes(mwf=True)


# --- output -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"clip": "soft"}, OutputError, "unknown clip 'soft': choose clamp, rescale, none"),
        ({"codec": "mp5"}, EncodeError, "mp5"),
        ({"bit_depth": 17}, EncodeError, "17"),
        ({"codec": "mp3", "bit_depth": 16}, EncodeError, "bit depth"),
        ({"codec": "mp3", "bitrate": "fast"}, EncodeError, "fast"),
        ({"codec": "mp3", "bitrate": "999k"}, EncodeError, "mp3 has bit rates from 8k to 320k, not '999k'"),
        ({"codec": "mp3", "sample_rate": 96_000}, EncodeError, "mp3 cannot hold a sample rate of 96000 Hz.*48000"),
        ({"sample_rate": 1}, OutputError, "sample rate 1 is not a whole number from 1000 to 768000"),
        ({"sample_rate": "fast"}, OutputError, "sample rate 'fast' is not a number"),
        ({"sample_rate": 8000, "keep_sample_rate": True}, OutputError, "contradict each other"),
        ({"stems": 5}, OutputError, "stems are names, such as .*, not 5"),
        ({"stems": [b"x" * 1_000_000]}, OutputError, "stems are names"),
        ({"mixes": ["karaoke"]}, OutputError, "mixes map names"),
        ({"mixes": {"a": {"vocals": "loud"}}}, OutputError, "the gain of 'vocals' 'loud' is not a number"),
        ({"mixes": {"a": {"vocals": float("inf")}}}, OutputError, "not a finite number"),
    ],
)
def test_bad_values_of_output_are_refused_at_once(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        Output(**arguments)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", [{}, {"bit_depth": 24}, {"codec": "flac"}])
def test_clip_none_needs_a_format_without_full_scale(encoding: dict[str, Any]) -> None:
    with pytest.raises(OutputError, match=r"holds samples beyond full scale.*choose wav with bit depth 32"):
        Output(clip="none", **encoding)
    assert Output(clip="none", bit_depth=32).clip == "none"


def test_a_codec_may_be_named() -> None:
    assert Output(codec="flac").encoding == Output(codec=Codec.FLAC).encoding
    assert Output(codec="flac").encoding.codec is Codec.FLAC


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output(["vocal"]), "did you mean 'vocals'"),
        (Output([]), "no stems chosen"),
        (Output(mixes={"karaoke": ["drum"]}), "mix 'karaoke' names 'drum'"),
        (Output(residual="drums"), "residual 'drums' has the name of a stem"),
    ],
)
def test_names_are_checked_once_the_model_is_known(output: Output, message: str) -> None:
    for check in (output.select, lambda instruments: output.paths("song.mp3", "out", instruments)):
        with pytest.raises(OutputError, match=message):
            check(["vocals", "drums"])


def test_one_name_may_be_a_plain_string() -> None:
    assert Output(stems="vocals").select(["vocals", "drums"]).names == ("vocals",)
    assert Output(mixes={"beat": "drums"}, stems=["beat"]).select(["vocals", "drums"]).mixes == {
        "beat": {"drums": 1.0}
    }


def test_numbers_of_any_type_are_read() -> None:
    rate: Any = np.int64(16_000)
    bitrate: Any = np.int32(96_000)
    depth: Any = np.int64(24)
    output = Output(sample_rate=rate, codec="mp3", bitrate=bitrate)
    assert output == Output(sample_rate="16000", codec="mp3", bitrate=96_000)  # type: ignore[arg-type]
    assert output.rate(44_100, 48_000) == 16_000
    assert Output(bit_depth=depth).encoding.bit_depth == 24
    assert Output(mixes={"a": {"vocals": np.float64(0.5)}}).mixes == {"a": {"vocals": 0.5}}


@pytest.mark.parametrize(
    ("bits", "codec", "depth"),
    [(16, "wav", None), (24, "wav", 24), (32, "flac", 24), (None, "wav", None), (32, "mp3", None), (8, "flac", None)],
)
def test_the_bit_depth_follows_the_song(bits: int | None, codec: str, depth: int | None) -> None:
    assert Output(codec=codec).following(song(bits=bits), 44_100, 2).bit_depth == depth
    if codec != "mp3":
        assert Output(codec=codec, bit_depth=16).following(song(bits=bits), 44_100, 2).bit_depth == 16


@pytest.mark.parametrize(
    ("bitrate", "codec", "rate", "n_channels", "expected"),
    [
        (192_000, "mp3", 44_100, 2, 192_000),
        (None, "mp3", 44_100, 2, 256_000),
        (1_411_000, "mp3", 44_100, 2, 320_000),
        (320_000, "mp3", 16_000, 1, 160_000),
        (320_000, "opus", 44_100, 1, 256_000),
        (8_000, "wma", 44_100, 2, 24_000),
    ],
)
def test_the_bit_rate_follows_the_song_as_far_as_the_codec_goes(
    bitrate: int | None, codec: str, rate: int, n_channels: int, expected: int
) -> None:
    assert Output(codec=codec).following(song(bitrate=bitrate), rate, n_channels).bitrate == expected
    asked = Output(codec=codec, bitrate="64k")
    assert asked.following(song(bitrate=bitrate), rate, n_channels) == asked


def song(bits: int | None = None, bitrate: int | None = None) -> AudioReader:
    """An opened song of so many bits a sample, or a second."""
    return cast(AudioReader, SimpleNamespace(source_bits=bits, source_bitrate=bitrate))


def test_the_codec_follows_the_paths_that_are_given() -> None:
    assert Output().at(["a.mp3", Path("b.MP3"), io.BytesIO()]).encoding.codec is Codec.MP3
    assert Output().at(["a", "b.part", io.BytesIO()]).encoding.codec is Codec.WAV
    for output, targets in ((Output(), ["a.mp3", "b.wav"]), (Output(codec="wav"), ["a.mp3"])):
        with pytest.raises(OutputError, match="name mp3, wav"):
            output.at(targets)


@pytest.mark.parametrize("stream", [-1, 1.5, "first"])
def test_a_stream_is_a_number(stream: Any) -> None:
    with pytest.raises(DecodeError, match=r"stream .* is not a"):
        Input(stream=stream)


def test_names_for_type_checkers_are_the_names_there_are() -> None:
    assert get_args(CodecName) == tuple(Codec)
    assert get_args(QualityName) == tuple(PRESETS)
