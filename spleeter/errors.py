"""The exceptions of this package.

    SpleeterError
    ├── ConfigurationError       a JSON configuration breaks a rule (also a ValueError)
    ├── DeviceError              the requested device is not available
    ├── ModelError               a model cannot be built or found
    │   ├── UnknownModelError    none of this name is released (also a ValueError)
    │   ├── CheckpointError      its weights are missing, damaged or of another network
    │   └── DownloadError        it could not be downloaded or verified (also an OSError)
    │       ├── HostUnavailableError   the host cannot be reached, or keeps failing
    │       └── RefusedError           the host answered that it does not have it, or does not give it
    ├── AudioError               an audio file cannot be read or written
    │   ├── DecodeError          it cannot be read
    │   └── EncodeError          it cannot be written
    ├── OutputError              the requested outputs cannot be written: names, paths, conflicts
    ├── DatasetError             a data set cannot be used: no tracks, songs with problems
    ├── TrainingError            training cannot start, or cannot continue
    └── EvaluationError          estimates cannot be scored

Each message is one line that names what is wrong, where, and the remedy.
"""

__all__ = [
    "AudioError",
    "CheckpointError",
    "ConfigurationError",
    "DatasetError",
    "DecodeError",
    "DeviceError",
    "DownloadError",
    "EncodeError",
    "EvaluationError",
    "HostUnavailableError",
    "ModelError",
    "OutputError",
    "RefusedError",
    "SpleeterError",
    "TrainingError",
    "UnknownModelError",
]


_LONGEST = 2_000
"""Characters of a message: a value in it, or a list of them, may be of any length."""


class SpleeterError(Exception):
    """Base class of this package's exceptions. Of a message that would fill the screen, the middle is left out."""

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class ConfigurationError(SpleeterError, ValueError):
    """A configuration breaks a rule. The message names the file, the key, its value and the rule."""


class DeviceError(SpleeterError):
    """The requested compute device is unknown or not available on this machine."""


class ModelError(SpleeterError):
    """A model cannot be found or built."""


class UnknownModelError(ModelError, ValueError):
    """There is no released model of this name."""


class CheckpointError(ModelError):
    """Weights are missing, damaged, or do not fit the configured network."""


class DownloadError(ModelError, OSError):
    """A pretrained model could not be downloaded, or its sha256 is not the released one."""


class HostUnavailableError(DownloadError):
    """The release host cannot be reached, or keeps answering with server errors."""


class RefusedError(DownloadError):
    """The release host answered that it does not have the file, or does not give it."""


class AudioError(SpleeterError):
    """An audio file cannot be read or written."""


class DecodeError(AudioError):
    """An audio file cannot be read."""


class EncodeError(AudioError):
    """An audio file cannot be written."""


class OutputError(SpleeterError):
    """The requested outputs contradict each other, or would overwrite something."""


class DatasetError(SpleeterError):
    """A data set cannot be used: there are no tracks with stems, or its songs have problems."""


class TrainingError(SpleeterError):
    """Training cannot start with these options, or cannot continue."""


class EvaluationError(SpleeterError):
    """Estimates cannot be scored."""
