"""A model's configuration: read once from JSON, checked as a whole, and frozen.

`Configuration.load` is the one door. It takes an embedded name (`spleeter:2stems`), a JSON file, a model
folder or a mapping, and either returns an object that keeps every rule below or raises one ConfigurationError
that names all the rules that were broken. docs/configuration.md describes each key.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from spleeter.errors import ConfigurationError
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name, is_file_name_part

EMBEDDED_PREFIX = "spleeter:"
DEFAULT_MODEL_TYPE = "unet.unet"
MODEL_FOLDER_FILE = "configuration.json"
"""The configuration's file in a model folder of this package, beside the weights."""

UNET_HALVINGS = 6
"""Strided convolutions of the U-Net: each halves T and F."""

MaskExtension: TypeAlias = Literal["zeros", "average"]
LossType: TypeAlias = Literal["L1_mask", "weighted_L1_mask"]
Optimizer: TypeAlias = Literal["Adam", "SGD", "Adadelta"]
Activation: TypeAlias = Literal["ReLU", "ELU", "LeakyReLU"]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenMapping(Mapping[str, Any]):
    """A mapping that cannot change and can be hashed and pickled; made for the few params of a model."""

    pairs: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, key: str) -> Any:
        return dict(self.pairs)[key]

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self.pairs))  # the order of the keys is no part of equality

    def __repr__(self) -> str:
        return repr(dict(self.pairs))


def _freeze(value: Any) -> Any:
    """The same JSON value made of immutable parts: objects become FrozenMappings, lists become tuples."""
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_freeze, value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return FrozenMapping(tuple((key, _freeze(item)) for key, item in value.items()))
    raise ValueError("must hold JSON values only: text, finite numbers, true, false, null, lists, objects")


def _thaw(value: Any) -> Any:
    """Undo `_freeze`: new dicts and lists that the caller may change."""
    if isinstance(value, Mapping):
        return {key: _thaw(item) for key, item in value.items()}
    return [_thaw(item) for item in value] if isinstance(value, tuple) else value


def _hint(name: object, known: Iterable[str], prefix: str = "") -> str:
    """The end of a message that suggests the nearest known name, regardless of case; "" if none is near."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"; did you mean {prefix + by_lower_case[nearest[0]]!r}?" if nearest else ""


# The kinds of values. Only what means the same is converted: 1e6 to 1000000, 2 to 2.0, a Path to its text.


def _integral_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _path_to_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _file_name_part(name: str) -> str:
    if not is_file_name_part(name):
        raise ValueError("must be usable in a file name: not blank, '.' or '..', without '/', '\\' and NUL")
    return name


def _dotted_name(name: str) -> str:
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError("must be a dotted name, module.function, such as 'unet.unet'")
    return name


def _six(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(values) != UNET_HALVINGS:
        raise ValueError(f"must hold exactly {UNET_HALVINGS} numbers, one for each convolution")
    return values


def _params(value: Any) -> FrozenMapping:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - pydantic collects ValueErrors only
    try:
        frozen: FrozenMapping = _freeze(value)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    return frozen


def _one_of(literal: Any) -> BeforeValidator:
    """Check that a value is one of the Literal's, with a message that lists them."""
    allowed: tuple[str, ...] = get_args(literal)

    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}{_hint(value, allowed)}")
        return value

    return BeforeValidator(check)


_Whole = Annotated[int, BeforeValidator(_integral_to_int)]
_PositiveWhole = Annotated[_Whole, Field(gt=0)]
_PositiveReal = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_PathText = Annotated[str, Field(min_length=1), BeforeValidator(_path_to_text)]
_StemName = Annotated[str, AfterValidator(_file_name_part)]
_Activation = Annotated[Activation, _one_of(Activation)]


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        validate_default=True,  # a default may contradict a given value: F 1024 and frame_length 1024
        protected_namespaces=(),  # model_dir is the original's name
    )


class _UNetParams(_Frozen):
    """What `unet.unet` and `unet.softmax_unet` understand; an absent param is left to the network."""

    conv_n_filters: (
        Annotated[tuple[_PositiveWhole, ...], BeforeValidator(_list_to_tuple), AfterValidator(_six)] | None
    ) = None
    conv_activation: _Activation | None = None
    deconv_activation: _Activation | None = None
    batch_statistics: bool | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None


class _BLSTMParams(_Frozen):
    """What `blstm.blstm` understands; an absent param is left to the network."""

    lstm_units: _PositiveWhole | None = None


_UNET_TYPES = ("unet.unet", "unet.softmax_unet")
_BUILTIN_PARAMS: dict[str, type[_Frozen]] = {
    **dict.fromkeys(_UNET_TYPES, _UNetParams),
    "blstm.blstm": _BLSTMParams,
}


class ModelConfiguration(_Frozen):
    """Which network, and its params: checked for the built-in networks, passed through for your own."""

    type: Annotated[str, AfterValidator(_dotted_name)] = DEFAULT_MODEL_TYPE
    params: Annotated[Mapping[str, Any], PlainValidator(_params)] = FrozenMapping()

    @property
    def is_unet(self) -> bool:
        """Whether the network is one of the two built-in U-Nets."""
        return self.type in _UNET_TYPES

    @field_validator("params")
    @classmethod
    def _params_fit_type(cls, params: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        rules = _BUILTIN_PARAMS.get(info.data.get("type", ""))
        return params if rules is None else _params(rules(**params).model_dump(exclude_none=True))


class Augmentation(_Frozen):
    """How training changes excerpts at random; each of these is off at 0, its default."""

    gain_db: Annotated[float, Field(ge=0, le=24)] = 0.0  # each stem louder or softer by up to this
    channel_swap: Annotated[float, Field(ge=0, le=1)] = 0.0  # probability that a stem's left and right change places
    remix: Annotated[float, Field(ge=0, le=1)] = 0.0  # probability that a stem is taken from another excerpt
    pitch_semitones: Annotated[float, Field(ge=0, le=12)] = 0.0  # higher or lower by up to this
    time_stretch: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # slower or faster by up to this share


class Configuration(_Frozen):
    """Everything a separation or a training needs to know, immutable and hashable: docs/configuration.md.

    A key's default is the original package's own; where that has none, the value of `spleeter:2stems`. Keys
    are checked in the order below, each against those above it. To change a key, load a changed dict:
    `Configuration.load({**configuration.to_dict(), "MWF": True})`.
    """

    model_dir: _PathText
    mix_name: _StemName = "mix"
    instrument_list: Annotated[tuple[_StemName, ...], BeforeValidator(_list_to_tuple)] = (
        "vocals",
        "accompaniment",
    )
    model: ModelConfiguration = ModelConfiguration()

    sample_rate: _PositiveWhole = 44100  # Hz
    n_channels: _PositiveWhole = 2
    frame_length: _PositiveWhole = 4096  # samples
    frame_step: _PositiveWhole = 1024  # samples
    T: _PositiveWhole = 512  # frames
    F: _PositiveWhole = 1024  # bins

    separation_exponent: _PositiveReal = 2.0
    mask_extension: Annotated[MaskExtension, _one_of(MaskExtension)] = "zeros"
    MWF: bool = False

    train_csv: _PathText | None = None
    validation_csv: _PathText | None = None
    training_cache: _PathText | None = None
    validation_cache: _PathText | None = None
    n_chunks_per_song: _PositiveWhole = 2
    chunk_duration: _PositiveReal = 20.0  # seconds
    batch_size: _PositiveWhole = 8
    loss_type: Annotated[LossType, _one_of(LossType)] = "L1_mask"
    optimizer: Annotated[Optimizer, _one_of(Optimizer)] = "Adam"
    learning_rate: _PositiveReal = 1e-4
    train_max_steps: _PositiveWhole = 1_000_000
    throttle_secs: Annotated[_Whole, Field(ge=0)] = 300  # seconds
    random_seed: Annotated[_Whole, Field(ge=0, lt=2**63)] = 0
    save_checkpoints_steps: _PositiveWhole = 150
    save_summary_steps: _PositiveWhole = 5
    validation_chunks_per_song: _PositiveWhole = 1
    augmentation: Augmentation = Augmentation()

    def __init__(self, source: str = "the given values", /, **values: Any) -> None:
        """Check `values`; `source` is where they come from, for messages.

        Raises:
            ConfigurationError: naming every key that breaks a rule.
        """
        try:
            super().__init__(**_recognised(values, source))
        except ValidationError as error:
            raise ConfigurationError(f"{source}: {'; '.join(map(_complaint, error.errors()))}") from error

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
        if isinstance(descriptor, str) and descriptor.startswith(EMBEDDED_PREFIX):
            return cls(descriptor, **_parse(_embedded_text(descriptor), descriptor))
        if isinstance(descriptor, str | Path):
            source, values = _read(Path(descriptor))
            return cls(source, **values)
        if isinstance(descriptor, Mapping) and all(isinstance(key, str) for key in descriptor):
            return cls("the given mapping", **descriptor)
        raise ConfigurationError(
            f"cannot load a configuration from {_show(descriptor)}: "
            f"give {EMBEDDED_PREFIX}NAME, a path, or a mapping whose keys are text"
        )

    @staticmethod
    def embedded_names() -> tuple[str, ...]:
        """The names that can follow `spleeter:`, sorted."""
        resources = files("spleeter.resources").iterdir()
        return tuple(sorted(Path(r.name).stem for r in resources if r.name.endswith(".json")))

    @property
    def n_bins(self) -> int:
        """Frequency bins of the STFT, frame_length / 2 + 1; the network sees the lowest F of them."""
        return self.frame_length // 2 + 1

    @property
    def segment_samples(self) -> int:
        """Samples of a segment: what its T frames reach over."""
        return (self.T - 1) * self.frame_step + self.frame_length

    def to_dict(self) -> dict[str, Any]:
        """All keys as the JSON has them, in new dicts and lists; `Configuration.load` undoes it."""
        return {name: _thaw(dict(value) if isinstance(value, _Frozen) else value) for name, value in self}

    def to_json(self) -> str:
        """The text of a JSON file that holds all keys."""
        return json.dumps(self.to_dict(), indent=4) + "\n"

    @field_validator("instrument_list")
    @classmethod
    def _instruments_differ(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not names:
            raise ValueError("must name at least one instrument")
        if len(set(names)) < len(names):
            raise ValueError("must not name an instrument twice")
        if info.data.get("mix_name") in names:
            raise ValueError(f"must not contain the mix_name, {info.data['mix_name']!r}")
        return names

    @field_validator("n_channels")
    @classmethod
    def _unet_is_stereo(cls, n_channels: int, info: ValidationInfo) -> int:
        if _has_unet(info) and n_channels != 2:
            raise ValueError("must be 2 for a U-Net: its last convolution has two outputs, left and right")
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
    def _can_be_halved(cls, size: int, info: ValidationInfo) -> int:
        if _has_unet(info) and size % 2**UNET_HALVINGS:
            raise ValueError(f"must be divisible by {2**UNET_HALVINGS} for a U-Net: it is halved six times")
        return size


def _has_unet(info: ValidationInfo) -> bool:
    model: ModelConfiguration | None = info.data.get("model")
    return model is not None and model.is_unet


# What reaches the rules: the keys that are known and set.


def _recognised(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The known keys of a whole configuration, model and built-in params included; warns about the others."""
    known = _known_keys(values, Configuration, "", source)
    if isinstance(model := known.get("model"), Mapping):
        known["model"] = model = _known_keys(model, ModelConfiguration, "model.", source)
        rules = _BUILTIN_PARAMS.get(str(model.get("type", DEFAULT_MODEL_TYPE)))
        if rules is not None and isinstance(params := model.get("params"), Mapping):
            model["params"] = _known_keys(params, rules, "model.params.", source)
    if isinstance(augmentation := known.get("augmentation"), Mapping):
        known["augmentation"] = _known_keys(augmentation, Augmentation, "augmentation.", source)
    return known


def _known_keys(values: Mapping[str, Any], rules: type[_Frozen], prefix: str, source: str) -> dict[str, Any]:
    fields = rules.model_fields
    for key in values:
        if key not in fields:
            logger.warning("%s: unknown key %r is ignored%s", source, f"{prefix}{key}", _hint(key, fields))
    return {key: value for key, value in values.items() if key in fields and value is not None}


# How a broken rule is told: key, value, rule.

_RULES: dict[str, str] = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}
"""The wording of pydantic's own rules, by its names for them."""


def _complaint(error: ErrorDetails) -> str:
    """One broken rule as "key = value rule"."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
    if error["type"] == "missing":
        return f"{key} is missing"
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        rule = str(context["error"])
    else:
        rule = _RULES.get(error["type"], error["msg"]).format(**context)
    return f"{key} = {_show(error['input'])} {rule}"


def _show(value: object) -> str:
    """A value for a message: one short line, true, false and null as JSON writes them."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    line = " ".join(text.split("\n"))
    return line if len(line) <= 80 else f"{line[:77]}..."


# Where a configuration is read from.


def _embedded_text(descriptor: str) -> str:
    name, names = descriptor.removeprefix(EMBEDDED_PREFIX), Configuration.embedded_names()
    if name not in names:
        known = ", ".join(EMBEDDED_PREFIX + known for known in names)
        hint = _hint(name, names, EMBEDDED_PREFIX)
        raise ConfigurationError(f"no embedded configuration {descriptor!r}: there are {known}{hint}")
    return files("spleeter.resources").joinpath(f"{name}.json").read_text(encoding="utf-8")


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a JSON file or a model folder: its name for messages, and the values with `model_dir` resolved."""
    file, is_folder = path, False
    try:
        if is_folder := path.is_dir():
            file = path / MODEL_FOLDER_FILE
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(_not_found(path, is_folder)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{display_name(file)}: byte {error.start} is not UTF-8; save as UTF-8") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"cannot read configuration file {display_name(file)}: {reason}") from error
    values = _parse(text, display_name(file))
    if is_folder:
        values["model_dir"] = str(path.resolve())
    elif isinstance(model_dir := values.get("model_dir"), str) and model_dir:
        values["model_dir"] = _found(file, model_dir)
    return display_name(file), values


def _not_found(path: Path, is_folder: bool) -> str:
    if is_folder:
        return f"folder {display_name(path)} holds no {MODEL_FOLDER_FILE}: give a model folder or a JSON file"
    hint = _hint(path.name, Configuration.embedded_names(), EMBEDDED_PREFIX)
    return f"configuration file {display_name(path)} not found{hint}"


def _found(file: Path, model_dir: str) -> str:
    """A relative `model_dir` made absolute if it lies beside `file`, or is a model's in the working directory."""
    beside, here = file.parent / model_dir, Path(model_dir)
    try:
        if not here.is_absolute():
            if beside.is_dir():
                return str(beside.resolve())
            if (here / MODEL_FOLDER_FILE).is_file():  # where `spleeter train` has put it
                return str(here.resolve())
    except OSError:
        pass  # too long a name, or out of reach: no usable folder is there
    return model_dir


def _parse(text: str, source: str) -> dict[str, Any]:
    """The one object that a JSON text holds."""
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{source}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{source}: must hold one JSON object, {{...}}, not {_show(values)}")
    return values


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"key {key!r} is written twice; keep one")
        values[key] = value
    return values
