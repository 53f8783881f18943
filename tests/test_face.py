"""The public face: `import spleeter` gives every public name, lazily, and nothing else."""

import doctest
import io
import pickle
import pydoc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import spleeter
from spleeter import Configuration, Separator, SpleeterError
from spleeter.backends.torch.weights import save_network
from spleeter.model.functions import build
from spleeter.types import Waveform
from tests.conftest import TINY


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def error_classes(base: type[SpleeterError] = SpleeterError) -> set[type[SpleeterError]]:
    """The class and all its subclasses that the package defines."""
    children = (error_classes(child) for child in base.__subclasses__() if child.__module__.startswith("spleeter."))
    return {base}.union(*children)


def test_a_star_import_gives_exactly_what_all_names() -> None:
    names: dict[str, object] = {}
    exec("from spleeter import *", names)
    names.pop("__builtins__")
    assert set(names) == set(spleeter.__all__)


def test_the_public_names() -> None:
    errors = {error.__name__ for error in error_classes()}
    expected = {
        "Separator",
        "Quality",
        "Input",
        "Output",
        "Configuration",
        "AudioAdapter",
        "Codec",
        "__version__",
    } | errors
    assert set(spleeter.__all__) == expected
    assert set(spleeter.__all__) <= set(dir(spleeter))
    assert all(getattr(spleeter, name) is not None for name in spleeter.__all__)


def test_public_names_are_those_of_the_import_paths_of_the_original() -> None:
    from spleeter.audio import Codec
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.separator import Separator

    assert (spleeter.Separator, spleeter.AudioAdapter, spleeter.Codec) == (Separator, AudioAdapter, Codec)


def test_each_name_is_imported_at_its_first_use() -> None:
    code = "import sys, spleeter\n{}\nprint('numpy' in sys.modules, 'torch' in sys.modules)"
    assert run_python(code.format("dir(spleeter); spleeter.SpleeterError")) == "False False\n"
    assert run_python(code.format("spleeter.Codec; spleeter.Configuration")) == "False False\n"
    assert run_python(code.format("spleeter.Separator; spleeter.Output; spleeter.Quality")) == "True False\n"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'spleeter' has no attribute 'Separater'"):
        spleeter.Separater  # type: ignore[attr-defined]  # noqa: B018 - type checkers know of public names only
    with pytest.raises(ImportError):
        exec("from spleeter import Separater")


@pytest.mark.parametrize("error", sorted(error_classes(), key=str))
def test_an_error_crosses_processes_with_its_message(error: type[SpleeterError]) -> None:
    copy = pickle.loads(pickle.dumps(error("song.mp3: cannot be read")))
    assert type(copy) is error
    assert str(copy) == "song.mp3: cannot be read"


def test_the_version_is_the_plain_assignment_that_the_build_reads() -> None:
    source = Path(spleeter.__file__).read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE) == [spleeter.__version__]


def test_help_describes_every_public_name() -> None:
    page = pydoc.plain(pydoc.render_doc(spleeter))
    assert "internal" in page
    for name in set(spleeter.__all__) - {"__version__"}:
        assert f"    class {name}(" in page or f"    class {name}\n" in page or f"\n    {name} = " in page, name


@pytest.fixture
def tiny_separators(tmp_path: Path) -> Callable[..., Separator]:
    """Makes separators with small networks of random weights for the stems of "spleeter:2stems" and "4stems"."""

    def make(name: str, **options: object) -> Separator:
        stems = Configuration.load(name).instrument_list
        configuration = Configuration.load({**TINY, "instrument_list": stems})
        folder = tmp_path / "models" / name.removeprefix("spleeter:")
        torch.manual_seed(0)
        save_network(folder, build(configuration), configuration)
        return Separator(folder, **{**options, "device": "cpu"})  # type: ignore[arg-type]

    return make


def test_the_examples_of_the_help_page_run(
    tmp_path: Path, music: Waveform, tiny_separators: Callable[..., Separator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spleeter, "Separator", tiny_separators)
    monkeypatch.chdir(tmp_path)
    for name in ("song.mp3", "song.flac"):
        soundfile.write(name, music, 44100)
    played: list[Waveform] = []
    names: dict[str, object] = {
        "upload": io.BytesIO(Path("song.flac").read_bytes()),
        "vocals": io.BytesIO(),
        "accompaniment": io.BytesIO(),
        "blocks": [music[:50_000], music[50_000:]],
        "play": played.append,
    }
    for example in doctest.DocTestParser().get_examples(spleeter.__doc__ or ""):
        exec(example.source, names)
    stems = names["stems"]
    assert isinstance(stems, dict)
    assert sum(map(len, played)) == len(music)
    assert {path.name for path in Path("stems/song").iterdir()} == {
        "vocals.wav", "accompaniment.wav", "vocals.flac", "band.flac"
    }  # fmt: skip
    for file in ("vocals", "accompaniment"):
        stream = names[file]
        assert isinstance(stream, io.BytesIO)
        stream.seek(0)
        samples, _ = soundfile.read(stream)
        assert samples.shape == music.shape
    band, _ = soundfile.read("stems/song/band.flac")
    vocals, _ = soundfile.read("stems/song/vocals.flac")
    np.testing.assert_allclose(band + vocals, soundfile.read("song.flac")[0], atol=2**-15)
