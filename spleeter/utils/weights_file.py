"""The header of a safetensors file, checked against the file's size before anything else is read.

The format (https://github.com/huggingface/safetensors#format) is the header's size in 8 bytes, the header in JSON,
and the tensors' bytes.
"""

import errno
import json
from pathlib import Path
from typing import Any

from spleeter.utils.plain_file import open_plain

__all__ = ["WEIGHTS_FILE", "read_header"]

WEIGHTS_FILE = "model.safetensors"
"""The weights in a model folder of this package."""

_MAX_HEADER = 2**24  # bytes; a tensor takes about 100


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """Read the header of a whole safetensors file.

    Returns:
        By the name of each tensor its "dtype", "shape" and "data_offsets" (first and end); and the offset, in bytes,
        that these count from.

    Raises:
        OSError: if it cannot be read, is no plain file, or its header is too large.
        SafetensorError: if it is not in this format, or not whole.
    """
    from safetensors import safe_open

    with open_plain(file) as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > _MAX_HEADER:
            raise OSError(errno.EFBIG, f"its header would have {size} bytes, more than {_MAX_HEADER}")
        with safe_open(file, framework="numpy"):
            pass  # the library has compared offsets, shapes and types with each other and with the file's length
        header = json.loads(stream.read(size))
    header.pop("__metadata__", None)
    return header, 8 + size
