"""A complete model is distinguished from the remains of one."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from spleeter.model.provider.folder import flaw
from tests.model.provider.models import checkpoint_files, write_files

FILES = checkpoint_files()
DATA = "model.data-00000-of-00001"
RECORDED = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").glob("*/checkpoint"))


@pytest.mark.parametrize("folder", RECORDED, ids=lambda path: path.name)
def test_recorded_checkpoints_are_complete(folder: Path) -> None:
    assert flaw(folder) is None


def test_a_checkpoint_is_complete_with_or_without_files_that_tools_add(tmp_path: Path) -> None:
    assert flaw(write_files(tmp_path, FILES)) is None
    assert flaw(write_files(tmp_path, {".probe": b"OK", "model.meta": b"graph"})) is None


@pytest.mark.parametrize("name", ["model.index", DATA])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9999])
def test_a_truncated_file_is_a_flaw_even_with_a_probe(tmp_path: Path, name: str, share: float) -> None:
    folder = write_files(tmp_path, {**FILES, name: FILES[name][: int(share * len(FILES[name]))], ".probe": b"OK"})
    assert name in str(flaw(folder))


@pytest.mark.parametrize("name", ["model.index", DATA])
def test_an_absent_file_is_a_flaw(tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path, FILES)
    (folder / name).unlink()
    assert name in str(flaw(folder))


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    assert flaw(tmp_path / "absent") == "there is no such folder"
    assert "neither" in str(flaw(tmp_path))
    assert "neither" in str(flaw(write_files(tmp_path, {".probe": b"OK"})))
    file = tmp_path / "file"
    file.touch()
    assert flaw(file) is not None


def test_the_state_file_decides_which_checkpoint_counts(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {name.replace("model.", "model.ckpt-7."): data for name, data in FILES.items()})
    assert "model.index" in str(flaw(folder))
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    assert flaw(folder) is None
    (folder / "checkpoint").write_text('model_checkpoint_path: "/where/it/was/trained/model.ckpt-7"\n')
    assert flaw(folder) is None
    (folder / "checkpoint").write_text("")
    assert "names no checkpoint" in str(flaw(folder))
    (folder / "checkpoint").unlink()
    assert flaw(folder) is None, "there is only one"


def test_safetensors_are_complete_at_their_full_length_only(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"a": np.arange(10, dtype=np.float32), "b": np.ones((2, 3))}, file, metadata={"format": "pt"})
    assert flaw(tmp_path) is None
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert flaw(tmp_path), f"{length} of {len(whole)} bytes"
    file.write_bytes(whole + b"\0")
    assert flaw(tmp_path)


@pytest.mark.parametrize("header", [b"[]", b"{", b"null", b'{"a": 1}', b'{"a": {"data_offsets": []}}', b"\xff\xff"])
def test_garbage_in_safetensors_is_a_flaw(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert flaw(tmp_path)
