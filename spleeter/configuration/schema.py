"""The keys of a configuration, their defaults and their rules: docs/configuration.md describes each.

What a network demands beyond them is in spleeter.model.rules.
"""

import json
import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from spleeter.configuration import loading
from spleeter.configuration.frozen import FrozenMapping, freeze, thaw
from spleeter.configuration.messages import describe
from spleeter.errors import ConfigurationError
from spleeter.model.rules import ENTRY_POINTS, NetworkRules, find_rules, short_type
from spleeter.utils.json_values import ListAsTuple, PositiveReal, PositiveWhole, StrictModel, Whole, one_of
from spleeter.utils.logging import logger
from spleeter.utils.names import is_file_name_part, short
from spleeter.utils.spelling import did_you_mean

__all__ = ["Augmentation", "Configuration", "LossType", "ModelConfiguration"]

_DEFAULT_MODEL_TYPE = "unet.unet"

MaskExtension: TypeAlias = Literal["zeros", "average"]
LossType: TypeAlias = Literal["L1_mask", "weighted_L1_mask"]
Optimizer: TypeAlias = Literal["Adam", "SGD", "Adadelta"]


_MAX_VALUES = 2**28
"""Values that a separation may hold at once, and those of an excerpt: 1 GiB as float32. The largest of the released
models has two fifths of it."""

_FILTERED_FRAMES = 64
"""Frames of a block of the Wiener filter; of more than two channels it holds the covariances of each frame."""

_MAX_BATCH = 2**32
"""Magnitudes in a batch of a training, 16 GiB as float32."""

_MAX_INSTRUMENTS = 100
_MAX_REPORTED = 20
"""Broken rules, and unknown keys, that are reported one by one."""


def _path_to_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _encodable(path: str) -> str:
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ValueError("must be a path: it holds half of a character") from error
    if b"\0" in encoded:
        raise ValueError("must be a path: it holds NUL")
    return path


def _file_name_part(name: str) -> str:
    if not is_file_name_part(name):
        raise ValueError(
            "must be usable in a file name: printable, not blank, '.', '..' or a device of Windows (nul, com1), "
            "without '/' and '\\', at most 100 bytes"
        )
    return name


def _dotted_name(name: str) -> str:
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts) or (
        len(parts) < 2 and not entry_points(group=ENTRY_POINTS, name=name)
    ):
        raise ValueError("must be a dotted name, module.function, such as 'unet.unet'")
    return name


def _frozen_params(value: Any) -> FrozenMapping:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - pydantic collects ValueErrors only
    try:
        frozen: FrozenMapping = freeze(value)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return frozen


_PathText = Annotated[
    str, Field(min_length=1, max_length=4096), BeforeValidator(_path_to_text), AfterValidator(_encodable)
]
_StemName = Annotated[str, AfterValidator(_file_name_part)]


class ModelConfiguration(StrictModel):
    """The network and its params, which are checked if it has rules and passed through if not."""

    type: Annotated[str, Field(max_length=200), AfterValidator(_dotted_name)] = _DEFAULT_MODEL_TYPE
    params: Annotated[Mapping[str, Any], PlainValidator(_frozen_params)] = FrozenMapping()

    @property
    def short_type(self) -> str:
        """`type` without the path of the built-in networks: "unet.unet", however it is written."""
        return short_type(self.type)

    @property
    def rules(self) -> NetworkRules | None:
        """The rules of the network, None if it has none."""
        return find_rules(self.type)

    @field_validator("params")
    @classmethod
    def _params_fit_type(cls, params: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        rules = find_rules(info.data.get("type", ""))
        return params if rules is None else _frozen_params(rules.params(**params).model_dump(exclude_none=True))


class Augmentation(StrictModel):
    """Random changes of the training excerpts; each is off at 0, its default."""

    gain_db: Annotated[float, Field(ge=0, le=24)] = 0.0  # each stem louder or softer by up to this
    channel_swap: Annotated[float, Field(ge=0, le=1)] = 0.0  # probability that a stem's left and right are swapped
    remix: Annotated[float, Field(ge=0, le=1)] = 0.0  # probability that a stem is taken from another excerpt
    pitch_semitones: Annotated[float, Field(ge=0, le=12)] = 0.0  # higher or lower by up to this
    time_stretch: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # slower or faster by up to this share


class Configuration(StrictModel):
    """A model's configuration: its stems, network, STFT, separation and training, immutable and hashable.

    A key's default is the original package's own; where that has none, the value of `spleeter:2stems`. Keys
    are checked in the order below, each against those above it. To change a key, load a changed dict:
    `Configuration.load({**configuration.to_dict(), "MWF": True})`.
    """

    model_dir: _PathText
    mix_name: _StemName = "mix"
    instrument_list: Annotated[tuple[_StemName, ...], ListAsTuple] = ("vocals", "accompaniment")
    model: ModelConfiguration = ModelConfiguration()

    sample_rate: Annotated[Whole, Field(ge=1000, le=384_000)] = 44100  # Hz
    n_channels: Annotated[PositiveWhole, Field(le=64)] = 2
    frame_length: PositiveWhole = 4096  # samples
    frame_step: PositiveWhole = 1024  # samples
    T: PositiveWhole = 512  # frames
    F: PositiveWhole = 1024  # bins

    separation_exponent: Annotated[PositiveReal, Field(le=100)] = 2.0
    mask_extension: Annotated[MaskExtension, one_of(MaskExtension)] = "zeros"
    MWF: bool = False

    train_csv: _PathText | None = None
    validation_csv: _PathText | None = None
    training_cache: _PathText | None = None
    validation_cache: _PathText | None = None
    n_chunks_per_song: Annotated[PositiveWhole, Field(le=10_000)] = 2
    chunk_duration: PositiveReal = 20.0  # seconds
    batch_size: PositiveWhole = 8
    loss_type: Annotated[LossType, one_of(LossType)] = "L1_mask"
    optimizer: Annotated[Optimizer, one_of(Optimizer)] = "Adam"
    learning_rate: PositiveReal = 1e-4
    train_max_steps: PositiveWhole = 1_000_000
    throttle_secs: Annotated[Whole, Field(ge=0)] = 300  # seconds
    random_seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    save_checkpoints_steps: PositiveWhole = 150
    save_summary_steps: PositiveWhole = 5
    validation_chunks_per_song: Annotated[PositiveWhole, Field(le=10_000)] = 1
    augmentation: Augmentation = Augmentation()

    def __init__(self, source: str = "the given values", /, **values: Any) -> None:
        """Check `values`; `source` is where they come from, for messages.

        Raises:
            ConfigurationError: naming the keys that break a rule.
        """
        try:
            super().__init__(**_without_unknown_keys(values, source))
        except ValidationError as error:
            broken = [describe(details) for details in error.errors()]
            if len(broken) > _MAX_REPORTED:
                broken[_MAX_REPORTED:] = [f"and {len(broken) - _MAX_REPORTED} more"]
            raise ConfigurationError(f"{source}: {'; '.join(broken)}") from error

    @classmethod
    def load(cls, descriptor: "str | Path | Mapping[str, Any] | Configuration") -> "Configuration":
        """Load, check and freeze a configuration.

        Args:
            descriptor: `spleeter:NAME` for an embedded one; the path of a JSON file; the path of a model
                folder, one that holds `configuration.json` (its `model_dir` is then that folder); a mapping
                with the keys of the JSON; or a Configuration, returned as it is.

        A JSON file's relative `model_dir` becomes absolute if that folder exists beside the file, or holds a trained
        model and lies in the working directory; it stays as written otherwise. Unknown keys are dropped with a
        warning; keys set to null count as absent.

        Raises:
            ConfigurationError: if there is no such configuration, or it breaks a rule.
        """
        if isinstance(descriptor, Configuration):
            return descriptor
        source, values = loading.read(descriptor)
        return cls(source, **values)

    @staticmethod
    def embedded_names() -> tuple[str, ...]:
        """The names that can follow `spleeter:`, sorted."""
        return loading.embedded_names()

    @property
    def n_bins(self) -> int:
        """Frequency bins of the STFT, frame_length / 2 + 1; the network's inputs are the lowest F of them."""
        return self.frame_length // 2 + 1

    @property
    def segment_samples(self) -> int:
        """Samples of a segment of T frames."""
        return (self.T - 1) * self.frame_step + self.frame_length

    @property
    def size_multiple(self) -> int:
        """The number that T and F must be multiples of: 64 for a U-Net, 1 for a network without such a rule."""
        rules = self.model.rules
        return 1 if rules is None else rules.size_multiple

    def to_dict(self) -> dict[str, Any]:
        """All keys as in the JSON, in new dicts and lists; `Configuration.load` is the inverse."""
        return {name: thaw(dict(value) if isinstance(value, StrictModel) else value) for name, value in self}

    def to_json(self) -> str:
        """The text of a JSON file with all keys."""
        return json.dumps(self.to_dict(), indent=4) + "\n"

    @field_validator("instrument_list")
    @classmethod
    def _instruments_differ(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not names:
            raise ValueError("must name at least one instrument")
        if len(names) > _MAX_INSTRUMENTS:
            raise ValueError(f"must not name more than {_MAX_INSTRUMENTS} instruments")
        if len({normalize("NFC", name).casefold() for name in names}) < len(names):  # one file on some systems
            raise ValueError("must not name an instrument twice, whatever the case")
        if info.data.get("mix_name") in names:
            raise ValueError(f"must not contain the mix_name, {info.data['mix_name']!r}")
        return names

    @field_validator("n_channels")
    @classmethod
    def _network_takes_channels(cls, n_channels: int, info: ValidationInfo) -> int:
        if rules := _rules(info):
            rules.check_n_channels(n_channels)
        return n_channels

    @field_validator("frame_length")
    @classmethod
    def _frame_length_even(cls, frame_length: int) -> int:
        if frame_length % 2:
            raise ValueError("must be even")
        return frame_length

    @field_validator("frame_step")
    @classmethod
    def _frames_overlap_to_constant(cls, frame_step: int, info: ValidationInfo) -> int:
        # The squared periodic Hann window is a constant and two harmonics. Its copies, frame_length / R
        # apart, cancel all harmonics but the multiples of R: from R = 3 on their sum is constant, 3 R / 8.
        frame_length = info.data.get("frame_length", 3 * frame_step)
        if frame_length % frame_step or frame_length < 3 * frame_step:
            raise ValueError(f"must divide frame_length, {frame_length}, into three or more equal parts")
        return frame_step

    @field_validator("T")
    @classmethod
    def _power_of_two(cls, T: int) -> int:
        if T & (T - 1):
            raise ValueError("must be a power of two")
        return T

    @field_validator("F")
    @classmethod
    def _within_spectrum(cls, F: int, info: ValidationInfo) -> int:
        n_bins = info.data.get("frame_length", 2 * F) // 2 + 1
        if n_bins < F:
            raise ValueError(f"must be at most frame_length / 2 + 1 = {n_bins}")
        return F

    @field_validator("T", "F")
    @classmethod
    def _network_takes_size(cls, size: int, info: ValidationInfo) -> int:
        if rules := _rules(info):
            rules.check_size(size)
        return size

    @field_validator("F")
    @classmethod
    def _fits_memory(cls, F: int, info: ValidationInfo) -> int:
        keys = info.data
        if not {"instrument_list", "model", "n_channels", "frame_length", "frame_step", "T"} <= keys.keys():
            return F  # one of them is wrong, which is reported
        n_instruments, n_channels, T = len(keys["instrument_list"]), keys["n_channels"], keys["T"]
        n_spectra = 2 * n_channels * T * (keys["frame_length"] // 2 + 1) * (n_instruments + 1)  # 2: they are complex
        n_covariances = 2 * n_instruments * n_channels**2 * F * _FILTERED_FRAMES if n_channels > 2 else 0
        rules = keys["model"].rules
        n_weights, n_activations = (0, 0) if rules is None else rules.n_values(keys["model"].params, n_channels, T, F)
        n_values = n_spectra + n_covariances + n_instruments * n_weights + n_activations
        if n_values > _MAX_VALUES:
            raise ValueError(
                f"must be lower, or T = {T}, frame_length = {keys['frame_length']}, n_channels = {n_channels}, the "
                f"number of instruments, {n_instruments}, or model.params: a separation would take about "
                f"{n_values / 2**28:.3g} GiB, and at most {_MAX_VALUES / 2**28:g} GiB is allowed"
            )
        return F

    @field_validator("chunk_duration")
    @classmethod
    def _excerpt_fits_memory(cls, chunk_duration: float, info: ValidationInfo) -> float:
        n_channels, sample_rate = info.data.get("n_channels", 1), info.data.get("sample_rate", 1)
        longest = _MAX_VALUES // (n_channels * sample_rate * (len(info.data.get("instrument_list", ())) + 1))
        if chunk_duration > longest:
            raise ValueError(f"must be at most {longest} seconds, which take 1 GiB")
        return chunk_duration

    @field_validator("batch_size")
    @classmethod
    def _batch_fits_memory(cls, batch_size: int, info: ValidationInfo) -> int:
        keys = info.data
        if not {"instrument_list", "n_channels", "T", "F"} <= keys.keys():
            return batch_size  # one of them is wrong, which is reported
        largest = _MAX_BATCH // ((len(keys["instrument_list"]) + 1) * keys["n_channels"] * keys["T"] * keys["F"])
        if batch_size > largest:
            raise ValueError(f"must be at most {largest} segments, whose magnitudes take 16 GiB")
        return batch_size


def _rules(info: ValidationInfo) -> NetworkRules | None:
    """The network's rules, for the keys that are checked after `model`; None if that is wrong itself."""
    model: ModelConfiguration | None = info.data.get("model")
    return None if model is None else model.rules


def _without_unknown_keys(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The keys that are known and not null, in the objects within too; a warning about each unknown one."""

    def known(values: Mapping[str, Any], schema: type[StrictModel], prefix: str = "") -> dict[str, Any]:
        fields = schema.model_fields
        unknown = [key for key in values if key not in fields]
        for key in unknown[:_MAX_REPORTED]:
            logger.warning("%s: unknown key %s is ignored%s", source, short(prefix + key), did_you_mean(key, fields))
        if len(unknown) > _MAX_REPORTED:
            logger.warning("%s: %d more unknown keys are ignored", source, len(unknown) - _MAX_REPORTED)
        return {key: value for key, value in values.items() if key in fields and value is not None}

    kept = known(values, Configuration)
    if isinstance(model := kept.get("model"), Mapping):
        kept["model"] = model = known(model, ModelConfiguration, "model.")
        rules = find_rules(str(model.get("type", _DEFAULT_MODEL_TYPE)))
        if rules is not None and isinstance(params := model.get("params"), Mapping):
            model["params"] = known(params, rules.params, "model.params.")
    if isinstance(augmentation := kept.get("augmentation"), Mapping):
        kept["augmentation"] = known(augmentation, Augmentation, "augmentation.")
    return kept
