"""Whether a folder holds a complete model, judged by its weights alone, whichever tool put them there.

A complete model is either `model.safetensors`, or a TensorFlow checkpoint: the state file `checkpoint` names a
prefix, and `PREFIX.index` gives the length of each `PREFIX.data-?????-of-?????`. An interrupted download or
extraction leaves neither. Damage inside files of the right length is found by `manifest.differences`, and when
weights are loaded.
"""

from pathlib import Path
from stat import S_ISREG

from spleeter.errors import CheckpointError, ModelError
from spleeter.utils.names import display_name, reason
from spleeter.utils.weights_file import WEIGHTS_FILE, read_header

__all__ = ["MANIFEST", "PROBE", "complete_models", "flaw", "n_bytes", "weights_files"]

PROBE = ".probe"
MANIFEST = "manifest.json"


def flaw(folder: Path) -> str | None:
    """The reason why `folder` is no complete model, as the end of a sentence; None if it is one."""
    try:
        if not folder.is_dir():
            return "there is no such folder"
        if (folder / WEIGHTS_FILE).exists():
            return _safetensors_flaw(folder / WEIGHTS_FILE)
        return _checkpoint_flaw(folder)
    except OSError as error:
        return f"it cannot be read ({reason(error)})"


def weights_files(folder: Path) -> list[str]:
    """The names of the files that the weights of a complete model are read from."""
    from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle

    if (folder / WEIGHTS_FILE).exists():
        return [WEIGHTS_FILE]
    prefix = find_bundle(folder)
    files = [] if prefix is None else TensorFlowBundle(prefix).files
    return [file.relative_to(folder).as_posix() for file in files]


def n_bytes(folder: Path) -> int:
    """The size of a folder's own plain files; nothing that a link leads to is counted."""
    return sum(status.st_size for status in (file.lstat() for file in folder.iterdir()) if S_ISREG(status.st_mode))


def complete_models(home: Path) -> list[str]:
    """The names of the folders in `home` that hold a complete model, sorted. Raises ModelError."""
    try:
        folders = list(home.iterdir()) if home.is_dir() else []
    except OSError as error:
        raise ModelError(f"cannot read the folder of models {display_name(home)}: {reason(error)}") from error
    return sorted(folder.name for folder in folders if not folder.name.startswith(".") and flaw(folder) is None)


def _checkpoint_flaw(folder: Path) -> str | None:
    from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle

    try:
        prefix = find_bundle(folder)
        if prefix is None:
            return f"it holds neither {WEIGHTS_FILE} nor a checkpoint"
        bundle = TensorFlowBundle(prefix)
        return bundle.missing_data() if bundle.names else f"{display_name(prefix.name)}.index names no weights"
    except CheckpointError as error:
        return str(error)


def _safetensors_flaw(file: Path) -> str | None:
    from safetensors import SafetensorError

    try:
        read_header(file)
    except SafetensorError as error:
        return f"{file.name} is not whole: {reason(error)}"
    except OSError as error:
        return f"{file.name} cannot be read: {reason(error)}"
    return None
