"""The default audio adapter: FFmpeg's libraries through PyAV; no program called ffmpeg is needed."""

from __future__ import annotations

import numpy as np

from spleeter.audio.adapter import AudioAdapter, AudioMetadata, AudioReader, AudioWriter
from spleeter.audio.codec import Codec, Encoding, codec_of, parse_codec
from spleeter.audio.reader import FileReader
from spleeter.audio.writer import FileWriter
from spleeter.errors import EncodeError
from spleeter.types import AudioDescriptor, PathLike, Signal
from spleeter.utils.logging import logger
from spleeter.utils.names import display_name

_SLICE = 1 << 20
"""Samples of a whole waveform written at once, so that saving it takes little memory more."""


class PyAVAudioAdapter(AudioAdapter):
    """Reads what FFmpeg reads, videos included, and writes wav, flac, mp3, ogg, opus, m4a and wma.

    Paths may be str, bytes or path objects. A path is always a file, never an address or a pattern.

    Reading. Start and length are exact to the sample: encoder delay and padding are removed where the file
    tells them (LAME tag, MP4 edit list, Opus pre-skip, Vorbis granules), and a part read from an offset on
    equals that part of the whole. Of several sound streams the one marked as default is read, else the
    first. Other rates are resampled by soxr's best quality; n samples become round(n · to / from). More
    channels than asked for are mixed down as FFmpeg does it (see `downmix_matrix`); mono is copied.
    Damaged passages become silence of the same length, with one warning.

    Writing. A file appears at its path when it is complete. Integer formats are rounded and clamped.
    Decoding gives the same number of samples at the same times, except that wma, whose files cannot tell
    their end, is up to one frame (2048 samples) longer, and that opus always decodes to 48 kHz. A rate
    that a codec cannot hold is resampled to the next that it can; a bit rate, moved to the nearest.
    Tags go into every kind of file as far as it knows them; cover pictures into mp3, m4a, flac and opus.

    Args:
        stream: which of a file's sound streams to read, from 0 on; None as said above.
    """

    def __init__(self, stream: int | None = None) -> None:
        self._stream = stream

    def load(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        """Load a sound file; see `AudioAdapter.load`. Raises DecodeError."""
        with self.open(audio_descriptor, offset, duration, sample_rate) as reader:
            waveform = np.concatenate(list(reader.blocks()))
        name = dtype.decode() if isinstance(dtype, bytes) else dtype
        return waveform.astype(np.dtype(name), copy=False), reader.sample_rate

    def open(
        self,
        audio_descriptor: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        n_channels: int | None = None,
    ) -> AudioReader:
        """Open a sound file; see `AudioAdapter.open`. Its memory does not grow with its length.

        Raises:
            DecodeError: if it cannot be read, holds no sound, or ends before `offset`.
        """
        return FileReader(audio_descriptor, offset, duration, sample_rate, n_channels, self._stream)

    def save(
        self,
        path: PathLike,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        """Save a whole waveform (samples, channels) of floats; see `AudioAdapter.save`.

        Samples beyond full scale, which most formats cut off, are counted in a warning.

        Raises:
            EncodeError: if it cannot be written; nothing is left behind then.
        """
        if data.ndim != 2 or not np.issubdtype(data.dtype, np.floating):
            raise EncodeError(
                f"a waveform must be floats of shape (samples, channels), not {data.dtype} of shape {data.shape}"
            )
        encoding = Encoding(codec_of(path) if codec is None else parse_codec(codec), bitrate)
        slices = (data[begin : begin + _SLICE] for begin in range(0, len(data), _SLICE))
        writer = self.create(path, sample_rate, data.shape[1], encoding)
        writer.write_all(part.astype(np.float32, copy=False) for part in slices)
        if n_beyond := np.count_nonzero(np.abs(data) > 1.0):
            logger.warning("%s: %d samples beyond full scale", display_name(path), n_beyond)

    def create(
        self,
        path: PathLike,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None = None,
        metadata: AudioMetadata | None = None,
    ) -> AudioWriter:
        """Open a sound file to be written block by block; see `AudioAdapter.create`.

        Raises:
            EncodeError: if the path cannot become a file, its extension (without `encoding`) names no codec,
                or the codec cannot hold such sound.
        """
        return FileWriter(path, sample_rate, n_channels, encoding or Encoding(codec_of(path)), metadata)
