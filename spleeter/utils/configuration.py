"""`load_configuration` of the original package: a configuration as a plain dict."""

from typing import Any

from spleeter.configuration import Configuration

__all__ = ["load_configuration"]


def load_configuration(descriptor: str) -> dict[str, Any]:
    """Load and check a configuration; returns a new dict with every key present.

    Args:
        descriptor: `spleeter:NAME`, a JSON file, or a model folder.

    Raises:
        ConfigurationError: if there is no such configuration, or it breaks a rule.
    """
    return Configuration.load(descriptor).to_dict()
