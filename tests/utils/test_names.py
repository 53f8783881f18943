"""Values and reasons in messages: one line, never a screen full."""

import numpy as np
import pytest

from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.codec import codec_of, parse_codec
from spleeter.errors import SpleeterError
from spleeter.utils.names import display_name, reason, short

LONG = "x" * 900_000


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [LONG, LONG.encode(), [LONG] * 99, np.zeros((999, 999)), Unprintable(), "a\nb"])
def test_a_value_is_one_short_line(value: object) -> None:
    text = short(value)
    assert len(text) < 5000
    assert text.isprintable()
    assert short("plain") == "'plain'"


def test_names_and_reasons_are_cut() -> None:
    assert len(display_name(LONG)) < 1000
    assert len(reason(ValueError(LONG))) < 1000
    assert display_name("song.mp3") == "song.mp3"


@pytest.mark.parametrize(
    "call", [AudioAdapter.default().load, AudioAdapter.get, codec_of, parse_codec], ids=lambda call: call.__name__
)
@pytest.mark.parametrize("value", [LONG, LONG.encode()], ids=["str", "bytes"])
def test_a_message_about_a_value_is_short(call: object, value: object) -> None:
    if call == AudioAdapter.get and isinstance(value, bytes):
        pytest.skip("a class's name is text")
    with pytest.raises(SpleeterError) as caught:
        call(value)  # type: ignore[operator]
    assert len(str(caught.value)) < 2_500


def test_any_message_is_cut() -> None:
    text = str(SpleeterError(f"begin {LONG} end"))
    assert len(text) < 2_100
    assert text.startswith("begin")
    assert text.endswith("end")
