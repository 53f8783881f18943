"""Strict pydantic types for values that come from JSON.

Types are not guessed: only spellings of the same value are converted, 1e6 to 1000000, a list to a tuple.
"""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from spleeter.utils.spelling import did_you_mean

__all__ = ["ListAsTuple", "PositiveReal", "PositiveWhole", "StrictModel", "Whole", "one_of"]


class StrictModel(BaseModel):
    """A JSON object with fixed keys, immutable and hashable."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        validate_default=True,  # a default may contradict a given value: F 1024 and frame_length 1024
        protected_namespaces=(),  # model_dir is the original's name
    )


def one_of(literal: Any) -> BeforeValidator:
    """Check that a value is one of a Literal's, with a message that lists them."""
    allowed: tuple[str, ...] = get_args(literal)

    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
        return value

    return BeforeValidator(check)


def _integral_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


ListAsTuple = BeforeValidator(_list_to_tuple)
Whole = Annotated[int, BeforeValidator(_integral_to_int), Field(lt=2**63)]
PositiveWhole = Annotated[Whole, Field(gt=0)]
PositiveReal = Annotated[float, Field(gt=0, allow_inf_nan=False)]
