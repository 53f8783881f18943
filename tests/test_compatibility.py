"""Names and calls of the original package beyond its documented ones, used as its callers use them."""

import hashlib
import logging
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile
from typer import Typer
from typer.testing import CliRunner

from spleeter import Separator, SpleeterError
from spleeter.audio.adapter import AudioAdapter
from spleeter.audio.ffmpeg import FFMPEGProcessAudioAdapter
from spleeter.types import Waveform


@pytest.fixture(scope="module")
def separator(tiny_model: Path) -> Separator:
    return Separator(tiny_model, device="cpu")


class TestBackendOfTheSTFT:
    """The original 2.0 to 2.3: `Separator(params_descriptor, MWF, stft_backend, multiprocess)`; 2.4 without it."""

    def test_it_is_taken_and_ignored(self, tiny_model: Path) -> None:
        from spleeter.audio import STFTBackend

        for backend in (*STFTBackend, "librosa", "torch"):
            separator: Any = Separator(tiny_model, stft_backend=backend, multiprocess=False)  # type: ignore[call-arg]
            assert separator._multiprocess is False
        assert [*STFTBackend] == ["auto", "tensorflow", "librosa"]

    def test_as_the_third_argument_it_leaves_multiprocess_the_fourth(self, tiny_model: Path) -> None:
        from spleeter.separator import STFTBackend

        make: Any = Separator
        assert make(tiny_model, False, STFTBackend.AUTO, False)._multiprocess is False
        assert make(tiny_model, False, "librosa", multiprocess=False)._multiprocess is False
        assert make(tiny_model, False, "librosa")._multiprocess is True
        assert make(tiny_model, True, STFTBackend.TENSORFLOW).quality.mwf

    def test_without_it_multiprocess_is_the_third(self, tiny_model: Path) -> None:
        private: Any = Separator(tiny_model, False, False)
        assert private._multiprocess is False
        private = Separator(tiny_model, False, True)
        assert private._multiprocess is True

    def test_a_subclass_passes_it_on(self, tiny_model: Path) -> None:
        from spleeter.audio import STFTBackend

        class Own(Separator):
            def __init__(
                self,
                params_descriptor: Any,
                MWF: bool = False,
                stft_backend: STFTBackend = STFTBackend.AUTO,
                multiprocess: bool = True,
            ) -> None:
                super().__init__(params_descriptor, MWF, stft_backend, multiprocess)  # type: ignore[arg-type, call-arg]

        private: Any = Own(tiny_model, multiprocess=False)
        assert private._multiprocess is False


class TestPrivateMembersOfTheSeparator:
    def test_parameters(self, separator: Separator) -> None:
        assert separator._sample_rate == separator.sample_rate == 44100
        assert separator._params["instrument_list"] == list(separator.instruments)
        assert (separator._params["frame_length"], separator._params["frame_step"]) == (1024, 256)

    def test_parameters_that_are_written_are_kept(self, tiny_model: Path, music: Waveform) -> None:
        separator = Separator({**Separator(tiny_model)._params, "model_dir": "nowhere"}, device="cpu")  # type: ignore[arg-type]
        separator._params["stft_backend"] = "librosa"
        separator._params["model_dir"] = str(tiny_model)
        assert set(separator.separate(music)) == set(separator.instruments)

    def test_the_prediction_generator_loads_the_model_and_predicts(
        self, tiny_model: Path, separator: Separator, music: Waveform
    ) -> None:
        expected = separator.separate(music)
        fresh = Separator(tiny_model, device="cpu")
        fresh._get_prediction_generator()
        assert fresh._loaded is not None
        prediction = next(fresh._get_prediction_generator({"waveform": music, "audio_id": np.array("")}))
        prediction.pop("audio_id")
        assert list(prediction) == list(expected)
        predicted = separator._get_predictor()({"waveform": music, "audio_id": "song"})
        assert predicted.pop("audio_id") == "song"
        for name, stem in expected.items():
            np.testing.assert_array_equal(prediction[name], stem)
            np.testing.assert_array_equal(predicted[name], stem)

    @pytest.mark.parametrize("n_samples", [1024, 40 * 256, 40 * 256 + 1, 30_001])
    @pytest.mark.parametrize("n_channels", [1, 2])
    def test_the_stft_and_its_inverse(self, separator: Separator, n_samples: int, n_channels: int) -> None:
        waveform = np.random.default_rng(0).standard_normal((n_samples, n_channels), np.float32)
        spectra = separator._stft(waveform)
        padded = np.pad(waveform, [(1024, 1024), (0, 0)])
        window = scipy.signal.windows.hann(1024, sym=False)
        frames = [padded[first : first + 1024] * window[:, None] for first in range(0, len(padded) - 1023, 256)]
        assert spectra.shape == (1 + (n_samples + 1024) // 256, 513, n_channels)
        np.testing.assert_allclose(spectra, np.fft.rfft(frames, axis=1), atol=1e-4)
        back = separator._stft(spectra, inverse=True, length=n_samples)
        np.testing.assert_allclose(back, waveform, atol=1e-5)


class TestNamesThatMoved:
    def test_adapters(self) -> None:
        from spleeter.audio.adapter import get_audio_adapter, get_default_audio_adapter
        from spleeter.utils.audio import adapter
        from spleeter.utils.audio.ffmpeg import FFMPEGProcessAudioAdapter

        assert adapter.AudioAdapter is AudioAdapter
        assert adapter.get_default_audio_adapter() is get_default_audio_adapter() is AudioAdapter.default()
        for descriptor in (
            "spleeter.utils.audio.ffmpeg.FFMPEGProcessAudioAdapter",
            "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
        ):
            assert type(get_audio_adapter(descriptor)) is FFMPEGProcessAudioAdapter
        assert adapter.get_audio_adapter(None) is AudioAdapter.default()  # type: ignore[arg-type]

    def test_private_functions_that_adapters_call(self) -> None:
        from spleeter.audio.ffmpeg import _check_ffmpeg_install, _to_ffmpeg_codec

        _check_ffmpeg_install()
        assert [_to_ffmpeg_codec(codec) for codec in ("mp3", "m4a", "ogg")] == ["mp3", "aac", "libvorbis"]

    def test_the_default_adapter_takes_its_path_by_name(self, song: Path) -> None:
        adapter: Any = AudioAdapter.default()
        waveform, rate = adapter.load(path=str(song), sample_rate=22050)
        assert (len(waveform), rate) == (soundfile.info(song).frames // 2 + 1, 22050)

    def test_convertor(self) -> None:
        from spleeter.utils.audio.convertor import to_stereo

        np.testing.assert_array_equal(to_stereo(np.ones((3, 1), np.float32)), np.ones((3, 2)))

    def test_model_provider(self, tmp_path: Path) -> None:
        from spleeter.model.provider import get_default_model_provider
        from spleeter.model.provider.github import GithubModelProvider, compute_file_checksum

        assert isinstance(get_default_model_provider(), GithubModelProvider)
        file = tmp_path / "file"
        file.write_bytes(b"content")
        assert compute_file_checksum(str(file)) == hashlib.sha256(b"content").hexdigest()

    def test_types(self) -> None:
        from spleeter.types import AudioDescriptor, Signal

        assert AudioDescriptor
        assert Signal

    @pytest.fixture
    def level(self) -> Iterator[None]:
        logger = logging.getLogger("spleeter")
        level = logger.level
        yield
        logger.setLevel(level)

    @pytest.mark.usefixtures("level")
    def test_logging(self) -> None:
        from spleeter.utils.logging import (
            configure_logger,
            enable_logging,
            enable_tensorflow_logging,
            get_logger,
            logger,
        )

        assert get_logger() is logger is logging.getLogger("spleeter")
        enable_tensorflow_logging()
        assert logger.level == logging.DEBUG
        enable_logging()
        assert logger.level == logging.INFO
        configure_logger(True)
        assert logger.level == logging.DEBUG

    def test_options_for_other_programs(self) -> None:
        from spleeter.options import AudioAdapterOption, AudioOutputOption, MWFOption, VersionOption

        program = Typer()

        @program.command()
        def run(
            adapter: str = AudioAdapterOption,
            output_path: str = AudioOutputOption,
            mwf: bool = MWFOption,
            version: bool = VersionOption,
        ) -> None:
            print(adapter, output_path, mwf)

        result = CliRunner().invoke(program, ["-o", "here", "--mwf"])
        assert result.output.split() == [AudioAdapterOption.default, "here", "True"]
        assert isinstance(AudioAdapter.get(AudioAdapterOption.default), type(AudioAdapter.default()))
        assert CliRunner().invoke(program, ["--version"]).output.startswith("Spleeter Version: ")

    def test_a_star_import_of_the_options_gives_the_enumerations_too(self) -> None:
        names: dict[str, object] = {}
        exec("from spleeter.options import *", names)
        assert {"Codec", "STFTBackend", "AudioSTFTBackendOption", "FilenameFormatOption"} <= set(names)

    def test_commands(self, tiny_model: Path, song: Path, tmp_path: Path) -> None:
        from spleeter.commands import create_argument_parser
        from spleeter.commands.separate import entrypoint
        from spleeter.utils.configuration import load_configuration

        line = f"separate -i {song} -o {tmp_path / 'out'} -p {tiny_model} -c flac -B librosa -d 1"
        arguments = create_argument_parser().parse_args(line.split())
        entrypoint(arguments, load_configuration(arguments.configuration))
        stems = {path.name: soundfile.info(path).frames for path in (tmp_path / "out" / "song").iterdir()}
        assert stems == {"vocals.flac": 44100, "drums.flac": 44100, "other.flac": 44100}


class TestFunctionsOfTheCommands:
    """The original's `spleeter.__main__`, whose functions are called with text for paths."""

    def test_separate(self, tiny_model: Path, song: Path, tmp_path: Path) -> None:
        from spleeter.__main__ import separate
        from spleeter.audio import Codec

        function: Any = separate  # declared for the command line, whose times are text
        function(
            deprecated_files=None,
            files=[str(song)],
            adapter="spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
            bitrate="128k",
            codec=Codec.WAV,
            duration=600.0,
            offset=0,
            output_path=str(tmp_path / "out"),
            stft_backend="auto",
            filename_format="{filename}_{instrument}.{codec}",
            params_filename=str(tiny_model),
            mwf=False,
            verbose=False,
        )
        assert {path.name for path in (tmp_path / "out").iterdir()} == {
            "song_vocals.wav", "song_drums.wav", "song_other.wav"
        }  # fmt: skip

    def test_evaluate(self, tiny_model: Path, tmp_path: Path) -> None:
        from spleeter.__main__ import evaluate

        adapter = AudioAdapter.default()
        instruments = ("vocals", "drums", "other")
        song = tmp_path / "dataset" / "test" / "song"
        song.mkdir(parents=True)
        for name in ("mixture", *instruments):
            noise = np.random.default_rng(0).uniform(-0.5, 0.5, (44100, 2))
            adapter.save(str(song / f"{name}.wav"), noise, 44100)
        metrics = evaluate(
            adapter="spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
            output_path=str(tmp_path / "evaluation"),
            params_filename=str(tiny_model),
            mus_dir=str(tmp_path / "dataset"),
            mwf=False,
            verbose=False,
        )
        assert {name: len(metrics[name]["SDR"]) for name in metrics} == dict.fromkeys(instruments, 1)
        assert all(np.isfinite(np.median(scores)) for metric in metrics.values() for scores in metric.values())

    def test_train_is_called_with_the_same_arguments(self) -> None:
        from spleeter.__main__ import train

        signature(train).bind(adapter="", data="musdb18hq", params_filename="config.json", verbose=False)


class OwnAdapter(AudioAdapter):
    """An adapter as it was written for the original, which knows paths as text, and 64-bit samples."""

    def __init__(self) -> None:
        self.paths: list[object] = []

    def load(self, path, offset=None, duration=None, sample_rate=None, dtype=b"float32"):  # type: ignore[no-untyped-def]
        self.paths.append(path)
        rate = soundfile.info(path).samplerate
        start, frames = int((offset or 0) * rate), -1 if duration is None else int(duration * rate)
        return soundfile.read(path, frames, start, always_2d=True)

    def save(self, path, data, sample_rate, codec=None, bitrate=None):  # type: ignore[no-untyped-def]
        self.paths.append(path)
        assert path.endswith("." + codec)
        assert Path(path).parent.is_dir()
        soundfile.write(path, data, sample_rate, "FLOAT")


class SavesMono(FFMPEGProcessAudioAdapter):
    """An adapter that changes half of the default one."""

    def save(self, path, data, sample_rate, codec=None, bitrate=None):  # type: ignore[no-untyped-def]
        super().save(path, data.mean(axis=1, keepdims=True), sample_rate, codec, bitrate)


class LoadsBackwards(FFMPEGProcessAudioAdapter):
    def load(self, *args: Any, **kwargs: Any) -> Any:
        waveform, rate = super().load(*args, **kwargs)
        return waveform[::-1], rate


class TestAdaptersOfOthers:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_both_ways_give_it_paths_as_text(
        self, kind: type, separator: Separator, song: Path, tmp_path: Path
    ) -> None:
        adapter = OwnAdapter()
        separator.separate_to_file(
            kind(song), kind(tmp_path / "out"), adapter, 1, 1, "wav", "128k", "{instrument}.{codec}"
        )
        separator.save_to_file(
            {"vocals": np.zeros((9, 2))},
            kind(song),
            kind(tmp_path / "out"),
            "{filename}.{codec}",
            "wav",
            adapter,
            "128k",
        )
        names = [f"{name}.wav" for name in (*separator.instruments, "song")]
        assert adapter.paths == [str(song), *(str(tmp_path / "out" / name) for name in names)]
        separator.separate_to_file(song, tmp_path / "exp", None, 1, 1, filename_format="{instrument}.{codec}")
        for name in separator.instruments:
            expected, _ = soundfile.read(tmp_path / "exp" / f"{name}.wav")
            np.testing.assert_allclose(soundfile.read(tmp_path / "out" / f"{name}.wav")[0], expected, atol=2**-14)

    def test_one_that_overrides_save_alone_is_written_through(
        self, separator: Separator, song: Path, tmp_path: Path
    ) -> None:
        adapter = AudioAdapter.get("tests.test_compatibility.SavesMono")
        separator.separate_to_file(song, tmp_path / "out", audio_adapter=adapter)
        separator.save_to_file({"all": np.zeros((9, 2))}, song, tmp_path / "out", audio_adapter=adapter)
        channels = {path.name: soundfile.info(path).channels for path in (tmp_path / "out" / "song").iterdir()}
        assert channels == {f"{name}.wav": 1 for name in (*separator.instruments, "all")}

    def test_one_that_overrides_load_alone_is_read_through(
        self, separator: Separator, song: Path, tmp_path: Path
    ) -> None:
        waveform, _ = LoadsBackwards().load(str(song), sample_rate=44100)
        np.testing.assert_array_equal(waveform, AudioAdapter.default().load(song)[0][::-1])
        separator.separate_to_file(song, tmp_path, LoadsBackwards())
        written = sum(soundfile.read(tmp_path / "song" / f"{name}.wav")[0] for name in separator.instruments)
        np.testing.assert_allclose(written, waveform, atol=2**-14)


class TestRetiredNames:
    """What works on TensorFlow's objects is imported by programs that do not use it; its use says what to do."""

    @pytest.mark.parametrize(
        "name",
        [
            "spleeter.dataset.DatasetBuilder",
            "spleeter.dataset.get_training_dataset",
            "spleeter.dataset.get_validation_dataset",
            "spleeter.model.EstimatorSpecBuilder",
            "spleeter.model.InputProviderFactory",
            "spleeter.model.get_model_function",
            "spleeter.model.model_fn",
            "spleeter.separator.create_estimator",
            "spleeter.utils.tensor.pad_and_partition",
        ],
    )
    def test_its_use_is_an_error_of_one_line(self, name: str) -> None:
        names: dict[str, Any] = {}
        module, _, attribute = name.rpartition(".")
        exec(f"from {module} import {attribute} as retired", names)
        retired = names["retired"]
        message = f"^{name} needs TensorFlow, which this version does without; [^\n]+$"
        with pytest.raises(SpleeterError, match=message):
            retired({}, MWF=False)
        with pytest.raises(SpleeterError, match=message):
            retired.get({})
        with pytest.raises(SpleeterError, match=message):

            class Own(retired):  # type: ignore[valid-type, misc]
                pass

        assert not hasattr(retired, "__wrapped__")
