"""The wording of a broken rule: key, value, rule."""

import json

from pydantic_core import ErrorDetails

__all__ = ["describe", "show"]

_RULES: dict[str, str] = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be text without surrogates, the halves of a character",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}
"""pydantic's own rules, by its error types."""


def describe(error: ErrorDetails) -> str:
    """One broken rule as "key = value rule"."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
    if error["type"] == "missing":
        return f"{key} is missing"
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        rule = str(context["error"])
    else:
        rule = _RULES.get(error["type"], error["msg"]).format(**context)
    return f"{key} = {show(error['input'])} {rule}"


def show(value: object) -> str:
    """A value as one line of at most 80 characters; true, false and null as in JSON."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    line = " ".join(text.split("\n"))
    return line if len(line) <= 80 else f"{line[:77]}..."
