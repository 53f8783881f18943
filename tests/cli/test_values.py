"""Values of options: times, gains, names of codecs."""

import pytest
from typer import BadParameter

from spleeter.audio.codec import Codec
from spleeter.cli.values import parse_codec_name, parse_mixes, parse_names, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("12.5", 12.5), (7, 7), (0.25, 0.25), ("1:30", 90), ("01:02.5", 62.5), ("1:02:03.5", 3723.5),
        ("100:00", 6000), (" 2 ", 2), ("1e2", 100), ("0", 0),
    ],
)  # fmt: skip
def test_seconds(text: str | float, seconds: float) -> None:
    assert parse_seconds(text, "--offset") == seconds


@pytest.mark.parametrize("text", ["", "1m", "1:60", "1:2:3:4", "-1", "-1:00", "nan", "inf", ":30", "1:", "½"])
def test_no_time(text: str) -> None:
    with pytest.raises(BadParameter, match=r"1:02:03\.5") as raised:
        parse_seconds(text, "--offset")
    assert raised.value.param_hint == "--offset"


def test_mixes() -> None:
    assert parse_mixes([]) == {}
    assert parse_mixes(["a=x+y", "b = 0.5*x + -1*y"]) == {"a": {"x": 1, "y": 1}, "b": {"x": 0.5, "y": -1}}
    parsed = parse_mixes(["c=-20dB*x+20 DB*y++0db*z"])["c"]
    assert parsed == pytest.approx({"x": 0.1, "y": 10, "z": 1})
    assert parse_mixes(["empty="]) == {"empty": {}}  # that there are no stems is not of the spelling


@pytest.mark.parametrize("mix", ["a", "a+b", "a=x+x", "a=x+0.5*x", "a=loud*x", "a=dB*x", "a=9999dB*x", "a=1*2*x"])
def test_no_mix(mix: str) -> None:
    with pytest.raises(BadParameter):
        parse_mixes([mix])
    with pytest.raises(BadParameter):
        parse_mixes(["twice=x", "twice=y"])


def test_names() -> None:
    assert parse_names(" vocals, drums,,") == ["vocals", "drums"]


@pytest.mark.parametrize(
    ("text", "codec"), [("aac", "m4a"), ("Vorbis", "ogg"), ("mp33", "mp3"), ("wave", "wav"), ("alac", "flac")]
)
def test_codecs_by_other_names(text: str, codec: str) -> None:
    with pytest.raises(BadParameter, match=f"did you mean '{codec}'"):
        parse_codec_name(text)


def test_codecs() -> None:
    for codec in Codec:
        assert parse_codec_name(codec.upper()) is codec
