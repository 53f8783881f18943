"""The default audio adapter: FFmpeg's libraries through PyAV; no program called ffmpeg is needed."""

from __future__ import annotations

import numpy as np

from spleeter.audio.adapter import AudioAdapter, AudioMetadata, AudioReader, AudioWriter
from spleeter.audio.codec import Codec, Encoding, codec_of, parse_codec
from spleeter.audio.files import file_label
from spleeter.audio.reader import FileReader
from spleeter.audio.writer import FileWriter
from spleeter.errors import EncodeError
from spleeter.types import AudioDescriptor, FileTarget, Signal
from spleeter.utils.logging import logger

__all__ = ["PyAVAudioAdapter"]

_SLICE = 1 << 20
"""Samples of a whole waveform written at once, so that saving it takes little memory more."""


class PyAVAudioAdapter(AudioAdapter):
    """Reads what FFmpeg reads, videos included, and writes the formats of `Codec`.

    Files are paths (str, bytes or path objects) or binary file objects. A path is always a file, never an address
    or a pattern. A file object is read from, or written to, where it stands, and never closed; it need not seek,
    but some formats, such as MP4 with its index at the end, cannot be read without.

    Reading. Start and length are exact to the sample: encoder delay and padding are removed where the file gives
    them (LAME tag, MP4 edit list, Opus pre-skip, Vorbis granules), and an excerpt read from an offset on equals
    that excerpt of the whole. The links of a chained Ogg file are read one after the other, whatever they hold. Of
    several audio streams the one marked as default is read, else the first; sound that starts later than the picture
    is given silence in front only if asked for (`keep_start`). Rates from 1 kHz to 1 MHz are read. Other
    rates are resampled with soxr's best quality; n samples become round(n · to / from). More channels than asked
    for are mixed down as FFmpeg does it (see `downmix_matrix`); mono is copied. Damaged passages become silence of
    the same length, with one warning; another says where a header promises more, or less, than the file holds.

    Writing. A file appears at its path when it is complete; a file object is given nothing before `commit`, and
    then the complete file. Integer formats are rounded and clamped. Decoding gives the same number of samples at
    the same times, except that wma, whose files do not record their end, is up to one frame (2048 samples) longer,
    and that opus always decodes to 48 kHz. A sample rate that the codec cannot hold is resampled to the next that
    it can; a bit rate that the codec cannot have at that rate is moved to the nearest, with a warning. Tags and
    cover go into every format, under the names that it has for them.

    Args:
        stream: which of a file's audio streams to read, from 0 on; None as above.
    """

    def __init__(self, stream: int | None = None) -> None:
        self._stream = stream

    def load(
        self,
        path: AudioDescriptor,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes | str = b"float32",
    ) -> Signal:
        """Load an audio file: a path or a readable binary file object; see `AudioAdapter.load`.

        Raises:
            DecodeError: as `open`.
        """
        with FileReader(path, offset, duration, sample_rate, None, self._stream) as reader:
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
        stream: int | None = None,
        keep_start: bool = False,
    ) -> AudioReader:
        """Open an audio file, a path or a readable binary file object; see `AudioAdapter.open`.

        Memory does not grow with its length.

        Raises:
            DecodeError: if it cannot be read, holds no audio, or ends before `offset`.
        """
        stream = self._stream if stream is None else stream
        return FileReader(audio_descriptor, offset, duration, sample_rate, n_channels, stream, keep_start)

    def save(
        self,
        path: FileTarget,
        data: np.ndarray,
        sample_rate: float,
        codec: Codec | None = None,
        bitrate: str | None = None,
    ) -> None:
        """Save a whole waveform (samples, channels) of floats; see `AudioAdapter.save`.

        Samples beyond full scale, which most formats cut off, are counted in a warning.

        Raises:
            EncodeError: if it cannot be written; nothing is left behind then. Also if `path` is a file object and
                there is no `codec`.
        """
        if data.ndim != 2 or not np.issubdtype(data.dtype, np.floating):
            raise EncodeError(
                f"a waveform must be floats of shape (samples, channels), not {data.dtype} of shape {data.shape}"
            )
        encoding = Encoding(codec_of(path) if codec is None else parse_codec(codec), bitrate)
        slices = [data[begin : begin + _SLICE] for begin in range(0, len(data), _SLICE)]
        writer = FileWriter(path, sample_rate, data.shape[1], encoding, None)
        writer.write_all(part.astype(np.float32, copy=False) for part in slices)
        if n_beyond := sum(int(np.count_nonzero(np.abs(part) > 1.0)) for part in slices):
            logger.warning("%s: %d samples beyond full scale", file_label(path), n_beyond)

    def create(
        self,
        path: FileTarget,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding | None = None,
        metadata: AudioMetadata | None = None,
    ) -> AudioWriter:
        """Open an audio file to be written block by block; see `AudioAdapter.create`.

        Raises:
            EncodeError: if the path or file object cannot be written to; if there is no `encoding`, and no extension
                that names a codec; or if the codec cannot hold such a waveform.
        """
        return FileWriter(path, sample_rate, n_channels, encoding or Encoding(codec_of(path)), metadata)
