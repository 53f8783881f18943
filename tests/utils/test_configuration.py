"""load_configuration: the plain dict of the original, checked."""

import json
from pathlib import Path

import pytest

from spleeter.configuration import Configuration
from spleeter.errors import SpleeterError
from spleeter.utils.configuration import load_configuration


def test_embedded_configuration_is_a_plain_dict() -> None:
    params = load_configuration("spleeter:4stems")
    assert type(params) is dict
    assert type(params["instrument_list"]) is list
    assert params["instrument_list"] == ["vocals", "drums", "bass", "other"]
    assert params["model"]["params"] == {"conv_activation": "ELU", "deconv_activation": "ELU"}
    assert set(params) == set(Configuration.model_fields)


def test_each_call_gives_a_new_dict() -> None:
    load_configuration("spleeter:2stems")["instrument_list"].append("drums")
    assert load_configuration("spleeter:2stems")["instrument_list"] == ["vocals", "accompaniment"]


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "song.json"
    params = load_configuration("spleeter:5stems")
    file.write_text(json.dumps(params), encoding="utf-8")
    assert load_configuration(str(file)) == params


@pytest.mark.parametrize("descriptor", ["spleeter:3stems", "missing/configuration.json"])
def test_what_is_not_there_is_a_spleeter_error(descriptor: str) -> None:
    with pytest.raises(SpleeterError, match=descriptor):
        load_configuration(descriptor)


def test_what_breaks_a_rule_is_a_spleeter_error(tmp_path: Path) -> None:
    file = tmp_path / "song.json"
    file.write_text('{"model_dir": "2stems", "T": 500}', encoding="utf-8")
    with pytest.raises(SpleeterError, match="T = 500 must be a power of two"):
        load_configuration(str(file))
