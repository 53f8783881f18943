"""An audio file written block by block, which appears once it is complete."""

from __future__ import annotations

import math

from spleeter.audio.adapter import AudioMetadata, AudioWriter
from spleeter.audio.codec import Encoding
from spleeter.audio.convertor import StreamResampler, is_finite
from spleeter.audio.encoder import open_encoder
from spleeter.audio.files import OutputFile
from spleeter.audio.tags import write_tags
from spleeter.errors import EncodeError
from spleeter.types import FileTarget, Waveform
from spleeter.utils.logging import logger

__all__ = ["FileWriter"]


class FileWriter(AudioWriter):
    """Encodes blocks into a hidden file, which `commit` moves to the path, or copies to the file object.

    Where the codec cannot hold the sample rate, the waveform is resampled to the next higher rate that it can hold,
    or to its highest; nothing changes in time.

    Args:
        target: a path, whose folder must exist; or a writable binary file object.
        sample_rate: in hertz, a whole number.
        n_channels: channels of every block.
        encoding: codec, bit rate, bit depth.
        metadata: tags and cover; None for none.

    Raises:
        EncodeError: if the target cannot be written to, or the codec cannot hold such a waveform.
    """

    def __init__(
        self,
        target: FileTarget,
        sample_rate: float,
        n_channels: int,
        encoding: Encoding,
        metadata: AudioMetadata | None = None,
    ) -> None:
        if not 1 <= sample_rate < math.inf or round(sample_rate) != sample_rate:
            raise EncodeError(f"sample rate {sample_rate} is not one; give whole hertz, e.g. 44100")
        self._n_channels, self._n_written = n_channels, 0
        self._metadata = metadata or AudioMetadata()
        self.integer_bits = encoding.integer_bits
        self._file = OutputFile(target)
        try:
            self._encoder = open_encoder(self._file, round(sample_rate), n_channels, encoding, self._metadata.tags)
            encoded_rate = self._encoder.sample_rate
            self._resampler = StreamResampler(round(sample_rate), encoded_rate, n_channels)
            self._file.check()
        except BaseException:
            self._file.discard()
            raise
        if encoded_rate != sample_rate:
            logger.debug(
                f"{self._file.label}: {encoding.codec} cannot hold {sample_rate:g} Hz, {encoded_rate} Hz is written"
            )

    def write(self, block: Waveform) -> None:
        if block.ndim != 2 or block.shape[1] != self._n_channels:
            raise self._file.failure(f"a block has shape {block.shape}, not (samples, {self._n_channels})")
        if not is_finite(block):
            raise self._file.failure("a block holds NaN or infinite samples")
        self._n_written += len(block)
        self._encode(self._resampler.push(block))

    def _encode(self, block: Waveform) -> None:
        self._encoder.encode(block)
        self._file.check()

    def close(self) -> None:
        if not self._n_written:
            raise self._file.failure("there is not one sample to write")
        self._encode(self._resampler.finish())
        self._encoder.finish()
        write_tags(self._file, self._metadata)
        self._file.close()

    def commit(self) -> None:
        self._file.commit()

    def abort(self) -> None:
        self._file.discard()
