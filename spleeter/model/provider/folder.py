"""Is a folder a whole model? Told by its weights alone, whichever tool put them there.

A whole model is either `model.safetensors`, or a TensorFlow checkpoint: the state file `checkpoint` names a prefix,
and `PREFIX.index` tells how long each `PREFIX.data-?????-of-?????` is. What an interrupted download or extraction
leaves is neither. Damage inside files of the right length is found by `manifest.damages`, and as weights are loaded.
"""

import json
import re
from pathlib import Path

from spleeter.model.provider.bundle_index import shard_sizes

PROBE = ".probe"
MANIFEST = "manifest.json"
SAFETENSORS = "model.safetensors"


def flaw(folder: Path) -> str | None:
    """What keeps `folder` from being a whole model, in words; None if it is one."""
    try:
        if not folder.is_dir():
            return "there is no such folder"
        if (folder / SAFETENSORS).exists():
            return _safetensors_flaw(folder / SAFETENSORS)
        return _checkpoint_flaw(folder)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def _checkpoint_flaw(folder: Path) -> str | None:
    """Judge the checkpoint that the state file names, or without one `model`, or the newest."""
    if not (folder / "checkpoint").is_file():
        indices = sorted(folder.glob("[!.]*.index"), key=lambda file: (file.stem == "model", file.stat().st_mtime))
        return (
            _bundle_flaw(indices[-1].with_suffix("")) if indices else f"it holds neither {SAFETENSORS} nor checkpoint"
        )
    state = (folder / "checkpoint").read_bytes().decode("latin-1")
    named = re.search(r'^model_checkpoint_path: "(.+)"', state, re.MULTILINE)
    if named is None:
        return "its file checkpoint names no checkpoint"
    prefix = Path(named[1])
    return _bundle_flaw(folder / (prefix.name if prefix.is_absolute() else prefix))


def _bundle_flaw(prefix: Path) -> str | None:
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        return f"{index.name} is missing"
    try:
        sizes = shard_sizes(index.read_bytes())
    except ValueError as error:
        return f"{index.name} is not whole: {error}"
    if not any(sizes):
        return f"{index.name} names no weights"
    for shard, size in enumerate(sizes):
        data = prefix.with_name(f"{prefix.name}.data-{shard:05}-of-{len(sizes):05}")
        if not data.is_file():
            return f"{data.name} is missing"
        if data.stat().st_size < size:
            return f"{data.name} has {data.stat().st_size} of {size} bytes"
    return None


def _safetensors_flaw(file: Path) -> str | None:
    """The layout: header length (8 bytes, little-endian), header (JSON), data."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(length) if length <= size else b"")
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, LookupError, AttributeError):
            return f"{file.name} is not whole: its header is damaged"
    expected = 8 + length + max(ends, default=0)
    return None if size == expected else f"{file.name} has {size} of {expected} bytes"
