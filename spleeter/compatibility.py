"""What callers of the original's `Separator` use beyond its documented members, and what it stands for here.

Modules of the original that have moved are files of a line or two at their old paths, which import from where their
contents are now: `commands`, `dataset`, `options`, `utils.audio`, `utils.tensor`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import numpy as np

    from spleeter.configuration import Configuration
    from spleeter.types import Waveform

__all__ = ["PrivateMembers", "ignore_stft_backend"]

Init = TypeVar("Init", bound=Callable[..., None])


def ignore_stft_backend(init: Init) -> Init:
    """Have `Separator.__init__` take and ignore `stft_backend`: by keyword, or as the third argument.

    The third is `multiprocess`, a bool, in the original 2.4, which became the fourth where there was a backend.
    """

    @wraps(init)
    def wrapper(self: object, *args: Any, stft_backend: object = None, **options: Any) -> None:
        has_backend = len(args) > 2 and isinstance(args[2], str)
        init(self, *(args[:2] + args[3:] if has_backend else args), **options)

    return cast(Init, wrapper)


class PrivateMembers(ABC):
    """The private members of the original's `Separator` that callers reach into."""

    configuration: Configuration

    @abstractmethod
    def load(self) -> None: ...

    @abstractmethod
    def separate(self, waveform: np.ndarray) -> dict[str, Waveform]: ...

    @cached_property
    def _sample_rate(self) -> int:
        return self.configuration.sample_rate

    @cached_property
    def _params(self) -> dict[str, Any]:
        """The configuration's keys. Changes do nothing, but for `model_dir`, which the model is loaded from."""
        return self.configuration.to_dict()

    def _get_prediction_generator(self, data: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Load the model; yields what `_get_predictor` gives for `data`, unless it is None."""
        predict = self._get_predictor()
        return map(predict, [] if data is None else [data])

    def _get_predictor(self) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Load the model; returns a function from `waveform` and `audio_id` to the stems and `audio_id`."""
        self.load()
        return lambda data: {**self.separate(data["waveform"]), "audio_id": data.get("audio_id", "")}

    def _stft(self, data: np.ndarray, inverse: bool = False, length: int | None = None) -> np.ndarray:
        """The STFT of a waveform (samples, channels), or its inverse, as librosa computed them for the original.

        Args:
            data: (samples, channels), between `frame_length` zeros; or (frames, bins, channels) if `inverse`.
            length: samples of the inverse.

        Returns:
            (frames, frame_length // 2 + 1, channels), complex, where frames is 1 + (samples + frame_length) //
            frame_step; or (length, channels) if `inverse`.
        """
        import numpy as np

        from spleeter.dsp.stft import inverse_stft, stft

        frame_length, frame_step = self.configuration.frame_length, self.configuration.frame_step
        if inverse:
            padded = inverse_stft(data.transpose(2, 0, 1), frame_length, frame_step)  # (channels, samples)
            return np.asarray(padded[:, frame_length:][:, :length].T)
        padded = np.pad(data.T, [(0, 0), (frame_length, frame_length)])  # (channels, samples)
        return np.asarray(stft(padded, frame_length, frame_step).transpose(1, 2, 0))
