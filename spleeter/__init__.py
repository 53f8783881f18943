"""Music source separation with pretrained models: a drop-in successor of Deezer's Spleeter.

Load a model, and separate a waveform: float32 NumPy arrays (samples, channels), full scale ±1.

>>> from spleeter import AudioAdapter, Separator
>>> separator = Separator("spleeter:2stems")
>>> waveform, _ = AudioAdapter.default().load("song.mp3", sample_rate=separator.sample_rate)
>>> stems = separator.separate(waveform)  # {"vocals": (samples, 2), "accompaniment": (samples, 2)}

Files to files, decoded, separated and encoded block by block, in memory that does not grow with the song:

>>> separator.separate_to_file("song.mp3", "stems")  # stems/song/vocals.wav, stems/song/accompaniment.wav

File objects, such as a request's body and an `io.BytesIO`, one for each output:

>>> separator.separate_to_file(upload, {"vocals": vocals, "accompaniment": accompaniment})

A stream of blocks, of any lengths, such as a live input:

>>> for mixture, stems in separator.separate_blocks(blocks):
...     play(mixture - stems["vocals"])

Options. `Separator` takes the device, the precision and the `Quality`: "fast", "balanced", "best", or its overlap and
shifts; `exact=True` reproduces the samples of the original. `Output` is what is written: stems, sums of stems, what
is left of the song without them, codec, bit depth, file names, a plot of spectrograms.

>>> from spleeter import Codec, Output, Quality
>>> separator = Separator("spleeter:4stems", device="cuda", quality=Quality(overlap=0.25, mwf=True))
>>> output = Output(stems=["vocals"], mixes={"band": ["drums", "bass", "other"]}, codec=Codec.FLAC, bit_depth=24)
>>> separator.separate_to_file("song.flac", "stems", output=output)

`Configuration.load` reads the JSON of a model; a changed one can be given to `Separator` in place of a name.

Errors are subclasses of `SpleeterError`, by what failed: `ConfigurationError`, `DeviceError`, `ModelError`,
`AudioError`, `OutputError` and others; their message is one line: what was wrong, where, and what to do.

The command line is `spleeter`, or `python -m spleeter`; `spleeter info` prints what a bug report needs.

Only the names in `__all__` are public. All modules are internal and may change, except where the original documented
their import paths: `spleeter.separator.Separator`, `spleeter.audio.adapter.AudioAdapter`, `spleeter.audio.Codec`,
`spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter`, `spleeter.model.provider.ModelProvider`,
`spleeter.utils.configuration.load_configuration`, and the model types below `spleeter.model.functions`.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from spleeter.errors import (
    AudioError,
    CheckpointError,
    ConfigurationError,
    DatasetError,
    DecodeError,
    DeviceError,
    DownloadError,
    EncodeError,
    EvaluationError,
    HostUnavailableError,
    ModelError,
    OutputError,
    RefusedError,
    SpleeterError,
    TrainingError,
    UnknownModelError,
)

__version__ = "3.0.0"

__all__ = [
    "AudioAdapter",
    "AudioError",
    "CheckpointError",
    "Codec",
    "Configuration",
    "ConfigurationError",
    "DatasetError",
    "DecodeError",
    "DeviceError",
    "DownloadError",
    "EncodeError",
    "EvaluationError",
    "HostUnavailableError",
    "Input",
    "ModelError",
    "Output",
    "OutputError",
    "Quality",
    "RefusedError",
    "Separator",
    "SpleeterError",
    "TrainingError",
    "UnknownModelError",
    "__version__",
]

if TYPE_CHECKING:
    from spleeter.audio.adapter import AudioAdapter
    from spleeter.audio.codec import Codec
    from spleeter.configuration import Configuration
    from spleeter.pipeline.options import Input, Output, Quality
    from spleeter.separator import Separator
else:  # so that type checkers know of these names and of no others
    _LAZY = {
        "AudioAdapter": "spleeter.audio.adapter",
        "Codec": "spleeter.audio.codec",
        "Configuration": "spleeter.configuration",
        "Input": "spleeter.pipeline.options",
        "Output": "spleeter.pipeline.options",
        "Quality": "spleeter.pipeline.options",
        "Separator": "spleeter.separator",
    }

    def __getattr__(name: str) -> object:
        """Import a name when it is first used (PEP 562)."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LAZY})
