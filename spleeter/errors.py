"""Every error that this package raises on purpose.

    SpleeterError
    ├── ConfigurationError       a JSON configuration breaks a rule (also a ValueError)
    ├── DeviceError              the requested device is not there
    ├── ModelError               a model cannot be built or found
    │   ├── UnknownModelError    none of this name is released (also a ValueError)
    │   ├── CheckpointError      its weights are missing, damaged or of another shape
    │   └── DownloadError        it could not be fetched or verified (also an OSError)
    │       ├── HostUnavailableError   the host cannot be reached, or keeps failing
    │       └── RefusedError           the host answered that it does not have it, or does not give it
    ├── AudioError               a sound file cannot be used
    │   ├── DecodeError          reading it failed
    │   └── EncodeError          writing it failed
    ├── OutputError              the requested outputs cannot be written: names, paths, conflicts
    ├── DatasetError             a data set cannot be used: no tracks, songs with problems
    ├── TrainingError            a training cannot start, or cannot go on
    └── EvaluationError          estimates cannot be scored

The message of each is one line for a person: what was wrong, where, what to do.
"""


class SpleeterError(Exception):
    """Base of all errors raised on purpose by this package."""


class ConfigurationError(SpleeterError, ValueError):
    """A configuration breaks a rule: the message names file, key, value and rule."""


class DeviceError(SpleeterError):
    """The requested compute device is unknown or not available on this machine."""


class ModelError(SpleeterError):
    """A model cannot be found or built."""


class UnknownModelError(ModelError, ValueError):
    """There is no released model of this name."""


class CheckpointError(ModelError):
    """Weights are missing, damaged, or do not fit the configured network."""


class DownloadError(ModelError, OSError):
    """A pretrained model could not be fetched, or what was fetched is not what was released."""


class HostUnavailableError(DownloadError):
    """The release host cannot be reached, or keeps answering that it is out of order."""


class RefusedError(DownloadError):
    """The release host answered that it does not have the file, or does not give it."""


class AudioError(SpleeterError):
    """A sound file cannot be read or written."""


class DecodeError(AudioError):
    """A sound file cannot be read."""


class EncodeError(AudioError):
    """A sound file cannot be written."""


class OutputError(SpleeterError):
    """The requested outputs contradict each other, or would overwrite something."""


class DatasetError(SpleeterError):
    """A data set cannot be used: there are no tracks with stems, or its songs have problems."""


class TrainingError(SpleeterError):
    """A training cannot start as it is asked for, or cannot go on."""


class EvaluationError(SpleeterError):
    """Estimates cannot be scored."""
