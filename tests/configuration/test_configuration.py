"""Configurations: each rule and its message, each source, round trips, and immutability."""

import copy
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spleeter.configuration import Configuration
from spleeter.errors import ConfigurationError, SpleeterError

ROOT = Path(__file__).parents[2]
MINIMAL: dict[str, Any] = {"model_dir": "some_model"}

# The values of the original package, version 2.4.2: those shared by all seven, then those of each.
SHARED: dict[str, Any] = {
    "mix_name": "mix",
    "sample_rate": 44100,
    "frame_length": 4096,
    "frame_step": 1024,
    "T": 512,
    "n_channels": 2,
    "separation_exponent": 2,
    "mask_extension": "zeros",
    "learning_rate": 1e-4,
    "batch_size": 4,
    "training_cache": "training_cache",
    "validation_cache": "validation_cache",
    "save_summary_steps": 5,
}
ELU = {"conv_activation": "ELU", "deconv_activation": "ELU"}
TWO_STEMS: dict[str, Any] = {
    **SHARED,
    "model_dir": "2stems",
    "instrument_list": ["vocals", "accompaniment"],
    "model": {"type": "unet.unet", "params": {}},
    "train_csv": "path/to/train.csv",
    "validation_csv": "path/to/test.csv",
    "train_max_steps": 1000000,
    "throttle_secs": 300,
    "random_seed": 0,
    "save_checkpoints_steps": 150,
}
FOUR_STEMS: dict[str, Any] = {
    **SHARED,
    "model_dir": "4stems",
    "instrument_list": ["vocals", "drums", "bass", "other"],
    "model": {"type": "unet.unet", "params": ELU},
    "train_csv": "path/to/train.csv",
    "validation_csv": "path/to/val.csv",
    "train_max_steps": 1500000,
    "throttle_secs": 600,
    "random_seed": 3,
    "save_checkpoints_steps": 300,
}
FIVE_STEMS: dict[str, Any] = {
    **SHARED,
    "model_dir": "5stems",
    "instrument_list": ["vocals", "piano", "drums", "bass", "other"],
    "model": {"type": "unet.softmax_unet", "params": ELU},
    "train_csv": "path/to/train.csv",
    "validation_csv": "path/to/test.csv",
    "train_max_steps": 2500000,
    "throttle_secs": 600,
    "random_seed": 8,
    "save_checkpoints_steps": 300,
}
ORIGINALS: dict[str, dict[str, Any]] = {
    "2stems": {**TWO_STEMS, "F": 1024},
    "2stems-16kHz": {**TWO_STEMS, "F": 1536},
    "4stems": {**FOUR_STEMS, "F": 1024},
    "4stems-16kHz": {**FOUR_STEMS, "F": 1536},
    "5stems": {**FIVE_STEMS, "F": 1024},
    "5stems-16kHz": {**FIVE_STEMS, "F": 1536},
    "musdb": {
        **FOUR_STEMS,
        "F": 1024,
        "model_dir": "musdb_model",
        "train_csv": "configs/musdb_train.csv",
        "validation_csv": "configs/musdb_validation.csv",
        "n_chunks_per_song": 1,
        "train_max_steps": 100000,
    },
}


def message_of(descriptor: Any) -> str:
    """The one-line message that loading `descriptor` fails with."""
    with pytest.raises(ConfigurationError) as caught:
        Configuration.load(descriptor)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def write(path: Path, values: Mapping[str, Any] | str) -> Path:
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


# Embedded configurations


def test_embedded_names_are_the_originals() -> None:
    assert Configuration.embedded_names() == tuple(ORIGINALS)


@pytest.mark.parametrize("name", ORIGINALS)
def test_embedded_files_hold_the_originals_keys_and_values(name: str) -> None:
    file = ROOT / "spleeter" / "resources" / f"{name}.json"
    assert json.loads(file.read_text(encoding="utf-8")) == ORIGINALS[name]


@pytest.mark.parametrize("name", ORIGINALS)
def test_embedded_configurations_load_without_a_warning(name: str, caplog: pytest.LogCaptureFixture) -> None:
    configuration = Configuration.load(f"spleeter:{name}")
    assert configuration.to_dict().items() >= ORIGINALS[name].items()
    assert caplog.records == []


def test_defaults_are_the_originals_else_those_of_2stems() -> None:
    of_the_original: dict[str, Any] = {
        "chunk_duration": 20.0,
        "n_chunks_per_song": 2,
        "batch_size": 8,
        "MWF": False,
        "loss_type": "L1_mask",
        "optimizer": "Adam",
        "training_cache": None,
        "validation_cache": None,
        "train_csv": None,
        "validation_csv": None,
    }
    of_this_package: dict[str, Any] = {
        "validation_chunks_per_song": 1,  # what the original does
        "augmentation": dict.fromkeys(["gain_db", "channel_swap", "remix", "pitch_semitones", "time_stretch"], 0),
    }
    expected = {**ORIGINALS["2stems"], **of_the_original, **of_this_package, **MINIMAL}
    assert Configuration.load(MINIMAL).to_dict() == expected


@pytest.mark.parametrize(
    ("descriptor", "nearest"),
    [("spleeter:2stem", "2stems"), ("spleeter:MUSDB", "musdb"), ("2stems", "2stems")],
)
def test_unknown_embedded_name_suggests_the_nearest(descriptor: str, nearest: str) -> None:
    message = message_of(descriptor)
    assert descriptor in message
    assert f"did you mean 'spleeter:{nearest}'?" in message


def test_unknown_embedded_name_lists_all_names() -> None:
    message = message_of("spleeter:zzz")
    assert all(f"spleeter:{name}" in message for name in ORIGINALS)
    assert "did you mean" not in message


@pytest.mark.parametrize("name", ["", "../resources/2stems", "2stems.json", "__init__"])
def test_embedded_names_are_not_paths(name: str) -> None:
    assert "no embedded configuration" in message_of(f"spleeter:{name}")


# Rules: a value that breaks each, and the message


RULES: list[tuple[str, Any, str]] = [
    ("model_dir", "", "must not be empty"),
    ("model_dir", 3, "must be text"),
    ("mix_name", "", "must be usable in a file name"),
    ("mix_name", "vocals", "must not contain the mix_name"),
    ("instrument_list", [], "must name at least one"),
    ("instrument_list", ["a", "b", "a"], "must not name an instrument twice"),
    ("instrument_list", "vocals", "must be a list"),
    ("instrument_list", {"vocals": 1}, "must be a list"),
    *[
        ("instrument_list", ["ok", bad], "must be usable in a file name")
        for bad in (
            *(
                "",
                "  ",
                ".",
                "..",
                "a/b",
                "a\\b",
                "a\0b",
                "a\nb",
                "a\r",
                "\x1b[31m",
                "a\x85",
                "\u202etxt",
                "\ud800",
                "\udcff",
            ),
            *("nul", "CON", "Aux.1", "com1", "LPT9", "a" * 101, "リ" * 34),
        )
    ],
    ("instrument_list", ["Drums", "drums"], "must not name an instrument twice, whatever the case"),
    ("instrument_list", ["\u00dc", "U\u0308"], "must not name an instrument twice"),
    ("instrument_list", [f"i{number}" for number in range(101)], "must not name more than 100 instruments"),
    ("model_dir", "\ud800", "must be text without surrogates"),
    ("model_dir", "a\0b", "must be a path: it holds NUL"),
    ("sample_rate", 999, "must be at least 1000"),
    ("sample_rate", 384_001, "must be at most 384000"),
    ("n_chunks_per_song", 10_001, "must be at most 10000"),
    ("validation_chunks_per_song", 10_001, "must be at most 10000"),
    ("separation_exponent", 101, "must be at most 100"),
    ("batch_size", 1366, "must be at most 1365 segments, whose magnitudes take 16 GiB"),
    ("chunk_duration", 1015, "must be at most 1014 seconds, which take 1 GiB"),
    ("random_seed", 10**400, "must be less than 9.22337e+18"),
    ("train_max_steps", 1e300, "must be less than 9.22337e+18"),
    ("model.type", "__init__", "must be a dotted name"),
    ("instrument_list", ["ok", 5], "must be text"),
    ("model", "unet.unet", "must be an object"),
    ("model.type", "unet", "must be a dotted name"),
    ("model.type", "unet.", "must be a dotted name"),
    ("model.type", "../unet.py", "must be a dotted name"),
    ("model.type", 3, "must be text"),
    ("model.params", [], "must be an object"),
    ("model.params.conv_n_filters", [1, 2, 3, 4, 5], "must hold exactly 6"),
    ("model.params.conv_n_filters", [1] * 7, "must hold exactly 6"),
    ("model.params.conv_n_filters", [1, 2, 3, 0, 5, 6], "must be greater than 0"),
    ("model.params.conv_n_filters", [1, 2, 3, "4", 5, 6], "must be a whole number"),
    ("model.params.conv_n_filters", 16, "must be a list"),
    ("model.params.conv_activation", "elu", "must be one of ReLU, ELU, LeakyReLU; did you mean 'ELU'?"),
    ("model.params.deconv_activation", "Tanh", "must be one of ReLU, ELU, LeakyReLU"),
    ("model.params.deconv_activation", 1, "must be one of"),
    ("n_channels", 3, "must be 1 or 2 for a U-Net"),
    ("frame_length", 4095, "must be even"),
    ("frame_step", 1000, "must divide frame_length, 4096, into three or more"),
    ("frame_step", 2048, "must divide frame_length, 4096, into three or more"),
    ("T", 500, "must be a power of two"),
    ("T", 192, "must be a power of two"),
    ("T", 32, "must be divisible by 64"),
    ("F", 2112, "must be at most frame_length / 2 + 1 = 2049"),
    ("F", 1000, "must be divisible by 64"),
    ("mask_extension", "zero", "must be one of zeros, average; did you mean 'zeros'?"),
    ("mask_extension", ["zeros"], "must be one of zeros, average"),
    ("MWF", 1, "must be true or false"),
    ("MWF", "false", "must be true or false"),
    ("train_csv", "", "must not be empty"),
    ("training_cache", False, "must be text"),
    ("loss_type", "l1_mask", "must be one of L1_mask, weighted_L1_mask; did you mean 'L1_mask'?"),
    ("optimizer", "adam", "must be one of Adam, SGD, Adadelta; did you mean 'Adam'?"),
    ("throttle_secs", -1, "must be at least 0"),
    ("random_seed", -1, "must be at least 0"),
    ("augmentation", 6, "must be an object"),
    ("augmentation.gain_db", -1, "must be at least 0"),
    ("augmentation.gain_db", 25, "must be at most 24"),
    ("augmentation.remix", 1.5, "must be at most 1"),
    ("augmentation.time_stretch", "much", "must be a number"),
    ("model.params.dropout", 1, "must be less than 1"),
    ("model.params.batch_statistics", 1, "must be true or false"),
]
POSITIVE_WHOLE = [
    *("n_channels", "frame_length", "frame_step", "T", "F"),
    *("n_chunks_per_song", "batch_size", "train_max_steps", "save_checkpoints_steps", "save_summary_steps"),
    "validation_chunks_per_song",
]
POSITIVE_REAL = ["separation_exponent", "chunk_duration", "learning_rate"]
for _key in POSITIVE_WHOLE + POSITIVE_REAL:
    RULES += [(_key, bad, "must be greater than 0") for bad in (0, -1)]
    RULES += [(_key, bad, "number") for bad in ("44100", True, [1], float("nan"), float("inf"))]
RULES += [("sample_rate", bad, "must be at least 1000") for bad in (0, -1)]
for _key in [*POSITIVE_WHOLE, "throttle_secs", "random_seed", "sample_rate"]:
    RULES += [(_key, 1.5, "must be a whole number")]


def with_value(key: str, value: Any) -> dict[str, Any]:
    """A valid configuration but for one value, its key dotted."""
    values: dict[str, Any] = copy.deepcopy(MINIMAL)
    *objects, last = key.split(".")
    place = values
    for name in objects:
        place = place.setdefault(name, {})
    place[last] = value
    return values


@pytest.mark.parametrize(("key", "value", "rule"), RULES)
def test_message_names_file_key_value_and_rule(key: str, value: Any, rule: str, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", with_value(key, value))
    message = message_of(file)
    assert message.startswith(f"{file}: ")
    shown_key = "instrument_list" if rule.endswith("mix_name") else key  # the later of the two keys tells
    assert re.search(rf"(: |; ){re.escape(shown_key)}(\[\d\])? = ", message)
    assert rule in message
    items = value if isinstance(value, list) and value else [value]
    shown = [json.dumps(item) if isinstance(item, bool) else repr(item) for item in items]
    assert any(text[:77] in message for text in shown)
    assert "pydantic" not in message.lower()


HUGE: list[dict[str, Any]] = [
    {"T": 2**40},
    {"T": 8192},
    {"frame_length": 2**30, "frame_step": 2**28},
    {"frame_length": 2**16, "frame_step": 2**14, "F": 32_704},
    {"model": {"params": {"conv_n_filters": [10**6] * 6}}},
    {"model": {"params": {"conv_n_filters": [1024, 1, 1, 1, 1, 1]}}},
    {"model": {"type": "blstm.blstm", "params": {"lstm_units": 10**6}}},
    {"model": {"type": "blstm.blstm"}, "n_channels": 64},
    {"model": {"type": "mine.network"}, "n_channels": 64},
    {"model": {"type": "mine.network"}, "n_channels": 64, "T": 8, "chunk_duration": 1},
    {"instrument_list": [f"i{number}" for number in range(100)]},
]


@pytest.mark.parametrize("values", HUGE, ids=str)
def test_a_few_bytes_ask_for_no_more_memory_than_the_bound(values: dict[str, Any]) -> None:
    message = message_of({**MINIMAL, **values})
    assert re.search(r": F = \d+ must be lower, or T = \d+, .* would take about \S+ GiB, and at most 1 GiB", message)


@pytest.mark.parametrize(
    "values", [{"F": 2048}, {"T": 2048, "F": 2048}, {"T": 1024, "model": {"type": "blstm.blstm"}}]
)
def test_larger_models_than_the_released_ones_fit(values: dict[str, Any]) -> None:
    five = {"instrument_list": [f"i{number}" for number in range(5)]}
    Configuration.load({**MINIMAL, **five, **values})


@pytest.mark.parametrize("model_type", ["unet.unet", "unet.softmax_unet", "blstm.blstm"])
def test_the_estimated_weights_are_those_of_the_network(model_type: str) -> None:
    """A bound of the memory must be no bound of something else."""
    from spleeter.model.functions import build

    configuration = Configuration.load({**MINIMAL, "model": {"type": model_type}, "T": 64, "F": 128})
    rules = configuration.model.rules
    assert rules is not None
    n_weights, _ = rules.n_values(configuration.model.params, 2, 64, 128)
    actual = sum(parameter.numel() for parameter in build(configuration).parameters())
    assert 0.9 * actual <= len(configuration.instrument_list) * n_weights <= 2 * actual


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    for file, descriptor in ((tmp_path / "song.json", None), (tmp_path / "configuration.json", tmp_path)):
        with file.open("wb") as stream:
            stream.truncate(2**40)  # sparse
        assert message_of(descriptor or file).endswith(f"{file}: it has more than 1048576 bytes")


@pytest.mark.skipif(sys.platform == "win32", reason="has neither")
@pytest.mark.parametrize(("kind", "name"), [("pipe", "a pipe"), ("/dev/zero", "a device"), ("/", "a folder")])
def test_what_is_no_plain_file_in_a_folder_is_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    file = tmp_path / "configuration.json"
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(kind)
    assert message_of(tmp_path) == f"cannot read configuration file {file}: it is {name}, not a plain file"


@pytest.mark.skipif(sys.platform == "win32", reason="has none")
def test_a_pipe_that_the_user_names_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps(MINIMAL),))
    writer.start()
    assert Configuration.load(pipe) == Configuration.load(MINIMAL)
    writer.join()


def test_endless_and_dangling_links_are_one_clear_line(tmp_path: Path) -> None:
    for target in ("configuration.json", "nowhere"):
        file = tmp_path / "configuration.json"
        file.unlink(missing_ok=True)
        file.symlink_to(target)
        assert "configuration" in message_of(tmp_path)


@pytest.mark.parametrize("n_channels", [1, 2, 6])
@pytest.mark.parametrize("model_type", ["blstm.blstm", "mine.network", "my_package.my_module.network"])
def test_rules_of_the_unet_bind_the_unets_alone(model_type: str, n_channels: int) -> None:
    values = {**MINIMAL, "model": {"type": model_type}, "n_channels": n_channels, "T": 16, "F": 2049}
    configuration = Configuration.load(values)
    assert (configuration.n_channels, configuration.T, configuration.F) == (n_channels, 16, 2049)


@pytest.mark.parametrize("units", [0, -3, 2.5, "250", True])
def test_lstm_units_are_positive(units: Any) -> None:
    values = {**MINIMAL, "model": {"type": "blstm.blstm", "params": {"lstm_units": units}}}
    assert "the given mapping: model.params.lstm_units = " in message_of(values)


@pytest.mark.parametrize("folder", ["", "spleeter.model.functions."])
def test_both_unets_are_held_to_the_rules(folder: str) -> None:
    for name in (f"{folder}unet.unet", f"{folder}unet.softmax_unet"):
        assert "F = 1000 " in message_of({**MINIMAL, "model": {"type": name}, "F": 1000})
        params = {"conv_activation": "elu"}
        assert "'elu'" in message_of({**MINIMAL, "model": {"type": name, "params": params}})


@pytest.mark.parametrize("frame_length", range(4, 49, 2))
def test_frame_step_is_allowed_when_squared_hann_windows_add_up_to_a_constant(frame_length: int) -> None:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame_length) / frame_length)
    for frame_step in range(1, frame_length + 1):
        padded = np.zeros(-(-frame_length // frame_step) * frame_step)
        padded[:frame_length] = window**2
        overlapped = padded.reshape(-1, frame_step).sum(axis=0)
        is_constant = bool(np.ptp(overlapped) < 1e-12)
        values = {
            **MINIMAL,
            "model": {"type": "blstm.blstm"},
            "frame_length": frame_length,
            "frame_step": frame_step,
            "F": 1,
        }
        if is_constant:
            assert np.allclose(overlapped, 3 * frame_length / (8 * frame_step))
            assert Configuration.load(values).frame_step == frame_step
        else:
            assert "frame_step" in message_of(values)


def test_every_wrong_key_is_in_the_one_message() -> None:
    values = {
        "sample_rate": "44100",
        "instrument_list": ["mix"],
        "T": 500,
        "F": 9000,
        "optimizer": "RMSprop",
        "model": {"type": "unet.unet", "params": {"conv_activation": "x", "conv_n_filters": []}},
    }
    message = message_of(values)
    keys = [part.split(" ")[0] for part in message.removeprefix("the given mapping: ").split("; ")]
    assert sorted(keys) == sorted(
        [
            *("model_dir", "sample_rate", "instrument_list", "T", "F", "optimizer"),
            *("model.params.conv_activation", "model.params.conv_n_filters"),
        ]
    )


def test_defaults_take_part_in_the_rules() -> None:
    message = message_of({**MINIMAL, "frame_length": 1024, "frame_step": 256})
    assert message == "the given mapping: F = 1024 must be at most frame_length / 2 + 1 = 513"


def test_long_values_are_cut_in_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = "x" * 500_000
    assert len(message_of({**MINIMAL, "T": "x\n" * 10_000})) < 200
    for values in ({"model_dir": long}, {"model": {"type": f"{long}.x"}}, {"instrument_list": [long]}):
        assert len(message_of({**MINIMAL, **values})) < 400
    assert len(message_of({**MINIMAL, "model": {"params": {"conv_n_filters": ["x"] * 100_000}}})) < 4000
    text = f'{{"{long}": 1, "{long}": 2}}'
    assert len(message_of(write(tmp_path / "song.json", text))) < 600
    Configuration.load({**MINIMAL, long: 1, **{f"key {number}": 1 for number in range(1000)}})
    assert caplog.messages[-1] == "the given mapping: 981 more unknown keys are ignored"
    assert len(caplog.messages) == 21
    assert max(map(len, caplog.messages)) < 400


def test_the_constructor_checks_the_same_rules() -> None:
    with pytest.raises(ConfigurationError, match=r"^the given values: T = 500 must be a power of two$"):
        Configuration(model_dir="m", T=500)
    assert Configuration(**MINIMAL) == Configuration.load(MINIMAL)


# Conversions


def test_equal_numbers_are_accepted_and_get_the_right_type() -> None:
    values = {**MINIMAL, "train_max_steps": 1e6, "T": 512.0, "separation_exponent": 2, "learning_rate": 1}
    configuration = Configuration.load(values)
    numbers = (configuration.train_max_steps, configuration.T)
    assert numbers == (1_000_000, 512)
    assert all(type(number) is int for number in numbers)
    assert all(type(x) is float for x in (configuration.separation_exponent, configuration.learning_rate))


def test_null_counts_as_absent() -> None:
    empty: dict[str, Any] = dict.fromkeys(Configuration.load(MINIMAL).to_dict()) | MINIMAL
    assert Configuration.load(empty) == Configuration.load(MINIMAL)
    empty["model"] = {"type": None, "params": None}
    assert Configuration.load(empty) == Configuration.load(MINIMAL)
    empty["model"] = {"params": {"conv_activation": None}}
    assert Configuration.load(empty) == Configuration.load(MINIMAL)
    assert "model_dir is missing" in message_of({"model_dir": None})


def test_params_of_own_models_pass_unchecked() -> None:
    params = {"conv_activation": "Tanh", "layers": [{"size": 3, "skip": None}, [1.5, True, "x"]]}
    values = {**MINIMAL, "model": {"type": "mine.network", "params": params}}
    configuration = Configuration.load(values)
    assert configuration.to_dict()["model"]["params"] == params
    assert configuration.model.params["layers"][1] == (1.5, True, "x")


@pytest.mark.parametrize("bad", [{1, 2}, float("nan"), object(), {3: 4}, b"bytes", [float("inf")]])
def test_params_hold_json_values_only(bad: Any) -> None:
    message = message_of({**MINIMAL, "model": {"type": "mine.network", "params": {"x": bad}}})
    assert "model.params = " in message
    assert "must hold JSON values only" in message


def test_params_may_not_be_endlessly_deep() -> None:
    params: dict[str, Any] = {}
    params["self"] = params
    message = message_of({**MINIMAL, "model": {"type": "mine.network", "params": params}})
    assert "nested too deeply" in message


# Unknown keys


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("instruments_list", "instrument_list"),
        ("mwf", "MWF"),
        ("t", "T"),
        ("framelength", "frame_length"),
        ("model.typ", "type"),
        ("model.params.conv_activations", "conv_activation"),
    ],
)
def test_unknown_key_is_a_warning_with_the_nearest_known(
    key: str, nearest: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path / "song.json", with_value(key, "whatever"))
    with caplog.at_level(logging.WARNING, logger="spleeter"):
        configuration = Configuration.load(file)
    assert configuration == Configuration.load(MINIMAL)
    (record,) = caplog.records
    expected = f"{file}: unknown key {key!r} is ignored; did you mean {nearest!r}?"
    assert (record.name, record.levelname, record.getMessage()) == ("spleeter", "WARNING", expected)


def test_unknown_key_far_from_all_has_no_suggestion(caplog: pytest.LogCaptureFixture) -> None:
    Configuration.load({**MINIMAL, "qqqq": 1})
    assert caplog.messages == ["the given mapping: unknown key 'qqqq' is ignored"]


def test_param_of_another_builtin_network_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    params = {"conv_activation": "ELU", "lstm_units": 10}
    configuration = Configuration.load({**MINIMAL, "model": {"type": "blstm.blstm", "params": params}})
    assert dict(configuration.model.params) == {"lstm_units": 10}
    assert "model.params.conv_activation" in caplog.text


def test_params_of_own_models_are_never_unknown(caplog: pytest.LogCaptureFixture) -> None:
    Configuration.load({**MINIMAL, "model": {"type": "mine.network", "params": {"conv_activatio": 1}}})
    assert caplog.messages == []


# Files and folders


def test_file_loads_from_text_and_path(tmp_path: Path) -> None:
    file = write(tmp_path / "chœur.json", {**MINIMAL, "instrument_list": ["chœur", "リズム"]})
    assert Configuration.load(str(file)) == Configuration.load(file)
    assert Configuration.load(file).instrument_list == ("chœur", "リズム")


def test_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "song.json"
    file.write_text(json.dumps(MINIMAL), encoding="utf-8-sig")
    assert Configuration.load(file) == Configuration.load(MINIMAL)


def test_model_dir_beside_the_file_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    file = write(tmp_path / "song.json", {"model_dir": "weights"})
    assert Configuration.load(file).model_dir == str((tmp_path / "weights").resolve())
    monkeypatch.chdir(tmp_path)
    assert Configuration.load("song.json") == Configuration.load(file)


@pytest.mark.parametrize("model_dir", ["2stems", "a/b", "x" * 4000, "song.json"])
def test_model_dir_that_is_not_beside_the_file_stays_as_written(model_dir: str, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", {"model_dir": model_dir})
    assert Configuration.load(file).model_dir == model_dir


def test_absolute_model_dir_stays_as_written(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "weights")
    file = write(tmp_path / "song.json", {"model_dir": str(tmp_path / "link")})
    assert Configuration.load(file).model_dir == str(tmp_path / "link")


@pytest.mark.parametrize("values", [{}, {"model_dir": "elsewhere"}])
def test_model_folder_is_its_own_model_dir(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "configuration.json", values)
    assert Configuration.load(tmp_path).model_dir == str(tmp_path.resolve())
    monkeypatch.chdir(tmp_path)
    assert Configuration.load(".") == Configuration.load(tmp_path)


def test_model_folder_names_its_file_in_messages(tmp_path: Path) -> None:
    file = write(tmp_path / "configuration.json", {"T": 3})
    assert message_of(tmp_path) == f"{file}: T = 3 must be a power of two"


def test_missing_file(tmp_path: Path) -> None:
    assert message_of(tmp_path / "no.json") == f"configuration file {tmp_path / 'no.json'} not found"


def test_folder_without_configuration(tmp_path: Path) -> None:
    message = message_of(tmp_path)
    assert str(tmp_path) in message
    assert "holds no configuration.json" in message


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "song.json", MINIMAL)

    def refuse(path: Path, *_: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert message_of(file) == f"cannot read configuration file {file}: Permission denied"


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0.json", "line\nfeed.json", "file/below.json"])
def test_impossible_paths_are_one_clear_line(name: str, tmp_path: Path) -> None:
    write(tmp_path / "file", "{}")
    assert "configuration file" in message_of(f"{tmp_path}{os.sep}{name}")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("", 1, 1), ('{\n  "T": 512,\n  "F" 1024\n}', 3, 7), ('{"T": 512,}', 1, 11), ("{'T': 1}", 1, 2)],
)
def test_broken_json_names_file_line_and_column(text: str, line: int, column: int, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", text)
    assert message_of(file).startswith(f"{file}: not valid JSON at line {line}, column {column}: ")


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "song.json"
    file.write_bytes('{"mix_name": "chœur"}'.encode("utf-16"))
    assert message_of(file) == f"{file}: byte 0 is not UTF-8; save as UTF-8"


@pytest.mark.parametrize("text", ["[]", "3", '"T"', "null", "NaN"])
def test_json_that_is_no_object(text: str, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", text)
    assert message_of(file).startswith(f"{file}: must hold one JSON object")


@pytest.mark.parametrize("text", ['{"T": 512, "T": 1024}', '{"model": {"T": 1, "T": 1}}'])
def test_key_written_twice(text: str, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", text)
    assert message_of(file) == f"{file}: key 'T' is written twice; keep one"


@pytest.mark.parametrize("text", ["[" * 200_000, '{"T": ' + "1" * 5000 + "}"])
def test_json_beyond_the_parser(text: str, tmp_path: Path) -> None:
    file = write(tmp_path / "song.json", text)
    assert message_of(file).startswith(f"{file}: ")


@pytest.mark.parametrize("descriptor", [None, 3, b"spleeter:2stems", ["T"], {1: 2}])
def test_other_objects_are_no_descriptors(descriptor: Any) -> None:
    assert "cannot load a configuration from" in message_of(descriptor)


def test_errors_are_spleeter_errors_and_value_errors() -> None:
    for kind in (SpleeterError, ValueError):
        with pytest.raises(kind, match="model_dir is missing"):
            Configuration.load({})


def test_configurations_of_the_golden_cases_load(caplog: pytest.LogCaptureFixture) -> None:
    for file in sorted((ROOT / "tests" / "golden").glob("*/config.json")):
        written = json.loads(file.read_text(encoding="utf-8"))
        configuration = Configuration.load(file)
        assert Path(configuration.model_dir) == (file.parent / written["model_dir"]).resolve()
        loaded = configuration.to_dict() | {"model_dir": written["model_dir"]}
        assert loaded.items() >= written.items()
    assert caplog.messages == []


# Round trips


NAME_CHARACTERS = st.characters(exclude_characters="/\\\0").filter(str.isprintable)
NAMES = st.text(NAME_CHARACTERS, max_size=8).filter(lambda text: text.strip() not in ("", ".", ".."))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(), items, max_size=3),
    max_leaves=5,
)
POSITIVE = st.integers(1, 10_000)
REAL = st.floats(min_value=1e-12, max_value=50)
ACTIVATION = st.sampled_from(["ReLU", "ELU", "LeakyReLU"])
PATH_TEXT = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
PATH = st.none() | PATH_TEXT
UNET: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(["unet.unet", "unet.softmax_unet"])},
    optional={
        "params": st.fixed_dictionaries(
            {},
            optional={
                "conv_n_filters": st.lists(st.integers(1, 64), min_size=6, max_size=6),
                "conv_activation": ACTIVATION,
                "deconv_activation": ACTIVATION,
            },
        )
    },
)
OWN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.just("mine.network")},
    optional={"params": st.dictionaries(st.text(), JSON_VALUES, max_size=4)},
)
MODEL: st.SearchStrategy[dict[str, Any]] = st.one_of(UNET, OWN)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """The dict of a valid configuration, some keys absent."""
    instruments = draw(st.lists(NAMES, min_size=2, max_size=6, unique_by=str.casefold))
    model: dict[str, Any] = draw(MODEL)
    is_unet = model["type"].startswith("unet.")
    frame_step = draw(st.integers(1, 64)) * 64
    frame_length = frame_step * draw(st.integers(3, 8))
    n_bins = frame_length // 2 + 1
    required = {
        "model_dir": draw(PATH_TEXT),
        "mix_name": instruments[0],
        "instrument_list": instruments[1:],
        "model": model,
        "n_channels": draw(st.integers(1, 2 if is_unet else 3)),
        "frame_length": frame_length,
        "frame_step": frame_step,
        "T": 2 ** draw(st.integers(6 if is_unet else 0, 7)),
        "F": 64 * draw(st.integers(1, n_bins // 64)) if is_unet else draw(st.integers(1, n_bins)),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "mask_extension": st.sampled_from(["zeros", "average"]),
        "MWF": st.booleans(),
        "loss_type": st.sampled_from(["L1_mask", "weighted_L1_mask"]),
        "optimizer": st.sampled_from(["Adam", "SGD", "Adadelta"]),
        "throttle_secs": st.integers(0, 10**6),
        "random_seed": st.integers(0, 10**6),
        **dict.fromkeys(("train_csv", "validation_csv", "training_cache", "validation_cache"), PATH),
        **dict.fromkeys(POSITIVE_REAL, REAL),
        **{key: POSITIVE for key in POSITIVE_WHOLE if key not in required},
        "batch_size": st.integers(1, 256),
        "sample_rate": st.integers(1000, 192_000),
    }
    given_optional: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=optional))
    return {**required, **given_optional}


@given(configurations())
def test_round_trips(values: dict[str, Any]) -> None:
    configuration = Configuration.load(values)
    assert configuration.to_dict().items() >= {k: v for k, v in values.items() if k != "model"}.items()
    assert configuration.to_dict()["model"] == {"params": {}} | values["model"]
    back = [
        Configuration.load(configuration),
        Configuration.load(configuration.to_dict()),
        Configuration.load(MappingProxyType(configuration.to_dict())),
        Configuration.load(json.loads(configuration.to_json())),
        pickle.loads(pickle.dumps(configuration)),
        copy.deepcopy(configuration),
    ]
    assert all(other == configuration and hash(other) == hash(configuration) for other in back)


def test_json_file_round_trips(tmp_path: Path) -> None:
    configuration = Configuration.load("spleeter:5stems")
    assert Configuration.load(write(tmp_path / "song.json", configuration.to_json())) == configuration


def test_unequal_in_any_key_is_unequal() -> None:
    configuration = Configuration.load("spleeter:4stems")
    others = {"T": 256, "MWF": True, "instrument_list": ["drums"], "model": {"type": "unet.unet"}}
    for key, value in others.items():
        assert Configuration.load({**configuration.to_dict(), key: value}) != configuration


def test_path_object_is_its_text(tmp_path: Path) -> None:
    assert Configuration.load({"model_dir": tmp_path}).model_dir == str(tmp_path)


def test_n_bins() -> None:
    assert Configuration.load(MINIMAL).n_bins == len(np.fft.rfft(np.zeros(4096)))


def test_a_segment_is_as_long_as_its_frames() -> None:
    configuration = Configuration.load(MINIMAL)
    samples = np.zeros(configuration.segment_samples)
    windows = np.lib.stride_tricks.sliding_window_view(samples, configuration.frame_length)
    assert len(windows[:: configuration.frame_step]) == configuration.T


# Immutability


@pytest.mark.parametrize("key", Configuration.load(MINIMAL).to_dict())
def test_no_key_can_be_set(key: str) -> None:
    configuration = Configuration.load("spleeter:4stems")
    with pytest.raises(ValidationError):
        setattr(configuration, key, getattr(configuration, key))


def test_nothing_mutable_is_reachable() -> None:
    params: dict[str, Any] = {"sizes": [1, 2], "deep": {"list": [3]}}
    values: dict[str, Any] = {
        **MINIMAL,
        "instrument_list": ["a", "b"],
        "model": {"type": "mine.network", "params": params},
    }
    configuration = Configuration.load(values)
    before = configuration.to_json()
    values["instrument_list"].append("c")
    params["sizes"].append(3)
    params["deep"]["list"].clear()
    thawed = configuration.to_dict()
    thawed["instrument_list"].clear()
    thawed["model"]["params"]["deep"]["list"].append(4)
    assert configuration.to_json() == before
    with pytest.raises(TypeError):
        configuration.model.params["sizes"] = ()  # type: ignore[index]
    with pytest.raises(ValidationError):
        configuration.model.type = "unet.unet"
    assert {configuration: 1}[Configuration.load(configuration.to_dict())] == 1


def test_an_unknown_augmentation_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Configuration.load({**MINIMAL, "augmentation": {"gain": 3, "remix": 0.5}})
    assert "unknown key 'augmentation.gain' is ignored; did you mean 'gain_db'?" in caplog.text


def test_a_trained_model_is_found_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    file = write(tmp_path / "configs" / "song.json", {**MINIMAL, "model_dir": "my_model"})
    assert Configuration.load(file).model_dir == "my_model"
    (tmp_path / "my_model").mkdir()
    assert Configuration.load(file).model_dir == "my_model"
    write(tmp_path / "my_model" / "configuration.json", MINIMAL)
    assert Configuration.load(file).model_dir == str(tmp_path / "my_model")


def test_order_of_params_is_no_difference() -> None:
    one, two = (
        Configuration.load({**MINIMAL, "model": {"type": "mine.network", "params": params}})
        for params in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert one == two
    assert hash(one) == hash(two)


def test_importing_is_light() -> None:
    code = "import sys, spleeter.configuration; print(*{'torch', 'numpy', 'av'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout
    assert output.split() == []


# The documentation


def documentation() -> str:
    file = ROOT / "docs" / "configuration.md"
    if not file.exists():
        pytest.skip("the documentation is not beside the tests")
    return file.read_text(encoding="utf-8")


def test_documented_example_loads(caplog: pytest.LogCaptureFixture) -> None:
    examples = re.findall(r"```json\n(.*?)```", documentation(), re.DOTALL)
    assert examples
    for example in examples:
        Configuration.load(json.loads(example))
    assert caplog.messages == []


def test_documented_defaults_are_the_defaults() -> None:
    row = re.compile(r"^\| `(\w+)` \| [^|]+ \| (`[^|]*`|required) \| .* \| .* \|$", re.MULTILINE)
    rows = row.findall(documentation())
    documented = {key: None if text == "required" else json.loads(text.strip("`")) for key, text in rows}
    assert documented == Configuration.load(MINIMAL).to_dict() | {"model_dir": None}


def test_documented_message_is_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "guitar.json", {**MINIMAL, "T": 500, "optimizer": "adam"})
    assert message_of("guitar.json") in documentation().splitlines()
