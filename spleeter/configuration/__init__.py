"""A model's configuration: JSON that is read once, checked as a whole, and frozen.

`Configuration.load` takes an embedded name (`spleeter:2stems`), a JSON file, a model folder or a mapping. It returns
a Configuration that keeps every rule, or raises one ConfigurationError that names every rule that was broken.

    loading.py     descriptor -> keys          schema.py     keys -> Configuration: defaults and rules
    frozen.py      immutable JSON values       messages.py   the wording of a broken rule
"""

from spleeter.configuration.loading import EMBEDDED_PREFIX, MODEL_FOLDER_FILE
from spleeter.configuration.schema import Augmentation, Configuration, LossType, ModelConfiguration

__all__ = [
    "EMBEDDED_PREFIX",
    "MODEL_FOLDER_FILE",
    "Augmentation",
    "Configuration",
    "LossType",
    "ModelConfiguration",
]
