"""Whether a folder holds a complete model, judged by its weights alone, whichever tool put them there.

A complete model is either `model.safetensors`, or a TensorFlow checkpoint: the state file `checkpoint` names a
prefix, and `PREFIX.index` gives the length of each `PREFIX.data-?????-of-?????`. An interrupted download or
extraction leaves neither. Damage inside files of the right length is found by `manifest.differences`, and when
weights are loaded.
"""

from pathlib import Path

from spleeter.errors import CheckpointError

__all__ = ["MANIFEST", "PROBE", "SAFETENSORS", "flaw"]

PROBE = ".probe"
MANIFEST = "manifest.json"
SAFETENSORS = "model.safetensors"


def flaw(folder: Path) -> str | None:
    """The reason why `folder` is no complete model, as the end of a sentence; None if it is one."""
    try:
        if not folder.is_dir():
            return "there is no such folder"
        if (folder / SAFETENSORS).exists():
            return _safetensors_flaw(folder / SAFETENSORS)
        return _checkpoint_flaw(folder)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def _checkpoint_flaw(folder: Path) -> str | None:
    from spleeter.model.tensorflow.bundle import TensorFlowBundle, find_bundle

    try:
        prefix = find_bundle(folder)
        if prefix is None:
            return f"it holds neither {SAFETENSORS} nor a checkpoint"
        bundle = TensorFlowBundle(prefix)
        return bundle.missing_data() if bundle.names else f"{prefix.name}.index names no weights"
    except CheckpointError as error:
        return str(error)


def _safetensors_flaw(file: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):  # compares the header with the file's length
            return None
    except SafetensorError as error:
        return f"{file.name} is not whole: {error}"
