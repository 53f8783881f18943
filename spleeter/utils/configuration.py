"""Load a configuration as a plain dict: a thin door for callers of the original package."""

from typing import Any

from spleeter.configuration import Configuration


def load_configuration(descriptor: str) -> dict[str, Any]:
    """Load and check the configuration that `descriptor` names, as a new dict with every key present.

    Args:
        descriptor: `spleeter:NAME`, a JSON file, or a model folder.

    Raises:
        ConfigurationError: if there is no such configuration, or it breaks a rule.
    """
    return Configuration.load(descriptor).to_dict()
