"""A model's configuration: read once from JSON, checked as a whole, and frozen."""

from spleeter.configuration.schema import (
    DEFAULT_MODEL_TYPE,
    EMBEDDED_PREFIX,
    MODEL_FOLDER_FILE,
    UNET_HALVINGS,
    Augmentation,
    Configuration,
    FrozenMapping,
    LossType,
)

__all__ = [
    "DEFAULT_MODEL_TYPE",
    "EMBEDDED_PREFIX",
    "MODEL_FOLDER_FILE",
    "UNET_HALVINGS",
    "Augmentation",
    "Configuration",
    "FrozenMapping",
    "LossType",
]
