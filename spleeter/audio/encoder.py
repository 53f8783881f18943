"""Waveform blocks -> an encoded file, through FFmpeg's encoders."""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet

from spleeter.audio.adapter import AudioMetadata
from spleeter.audio.codec import Codec, Encoding
from spleeter.audio.convertor import to_integers
from spleeter.audio.failures import AV_ERRORS, reason
from spleeter.audio.metadata import add_cover, cover_comment
from spleeter.audio.recipes import recipe_for
from spleeter.errors import EncodeError
from spleeter.types import Waveform
from spleeter.utils.whole_file import PartialFile

_FRAME = 1 << 16
"""Samples handed to FFmpeg at once."""

_WITH_PICTURE_STREAM = (Codec.MP3, Codec.M4A, Codec.FLAC)


class FFmpegEncoder:
    """Encodes blocks into a file; its header is written at once, so that what cannot work fails early.

    Args:
        file: where the bytes go.
        sample_rate: of the sound, in hertz.
        n_channels: of the sound.
        encoding: codec, bit rate, bit depth.
        metadata: tags and cover, written as far as the kind of file has room for them.

    Raises:
        EncodeError: if the codec cannot hold such sound.
    """

    def __init__(
        self, file: PartialFile, sample_rate: int, n_channels: int, encoding: Encoding, metadata: AudioMetadata
    ) -> None:
        self._file, self._codec, self._recipe = file, encoding.codec, recipe_for(encoding)
        if not 1 <= n_channels <= self._recipe.max_channels:
            raise file.failure(f"{self._codec} holds 1 to {self._recipe.max_channels} channels, not {n_channels}")
        self.sample_rate = self._recipe.sample_rate_for(sample_rate)
        """What the blocks have to be resampled to first."""
        bitrate = self._recipe.bitrate_for(encoding.bitrate, n_channels)
        self._n_sent = self._n_packets = self._first_time = 0
        try:
            options = {key: value.format(rate=self.sample_rate) for key, value in self._recipe.options.items()}
            self._container = av.open(
                file, "w", format=self._recipe.muxer, container_options=options, metadata_errors="replace"
            )
            self._stream = self._add_stream(n_channels, bitrate)
            self._write_header(metadata)
            n_priming = self._recipe.n_priming_frames * self._stream.frame_size
            self._send(np.zeros((n_priming, n_channels), np.float32))
        except AV_ERRORS as error:
            wanted = f"{self.sample_rate} Hz, {n_channels} channels, {bitrate} bit/s"
            raise file.failure(f"the {self._codec} encoder cannot do {wanted} ({reason(error)})") from error

    def encode(self, block: Waveform) -> None:
        """Encode a block (samples, channels). Raises EncodeError."""
        try:
            for begin in range(0, len(block), _FRAME):
                self._send(block[begin : begin + _FRAME])
        except AV_ERRORS as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Encode what is left, and complete the file. Raises EncodeError."""
        try:
            self._mux(self._stream.encode(None), last=True)
            self._container.close()
        except AV_ERRORS as error:
            raise self._failure(error) from error

    def _add_stream(self, n_channels: int, bitrate: int) -> av.AudioStream:
        stream = self._container.add_stream(self._recipe.encoder, rate=self.sample_rate)
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        context.layout = _layout(n_channels)
        context.bit_rate = bitrate
        if self._recipe.integer_bits:
            context.format = "s16" if self._recipe.integer_bits == 16 else "s32"
        return stream

    def _write_header(self, metadata: AudioMetadata) -> None:
        self._container.metadata.update(metadata.tags)
        picture = None
        if metadata.cover and self._codec in _WITH_PICTURE_STREAM:
            picture = add_cover(self._container, metadata.cover)
        elif metadata.cover and self._codec is Codec.OPUS:
            self._container.metadata.update(cover_comment(metadata.cover))
        self._container.start_encoding()
        if picture is not None:
            self._container.mux(picture)

    def _send(self, block: Waveform) -> None:
        if not len(block):
            return
        samples, sample_format = self._as_given(block)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format=sample_format, layout=self._stream.layout)
        frame.sample_rate, frame.pts = self.sample_rate, self._n_sent
        frame.time_base = self._stream.codec_context.time_base
        self._n_sent += len(block)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet[Any]], last: bool = False) -> None:
        if packets and not self._n_packets:
            self._first_time = packets[0].pts or 0
        self._n_packets += len(packets)
        if last and self._codec is Codec.MP3:
            end = self._first_time + self._n_packets * self._stream.frame_size
            _tell_padding(packets[-1], end - self._n_sent)
        self._container.mux(packets)

    def _as_given(
        self, block: Waveform
    ) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int16], str]:
        """The samples in the type that the encoder is given, interleaved; 24 bits lie in the upper ones of 32."""
        bits = self._recipe.integer_bits
        if bits is None:
            return np.ascontiguousarray(block, np.float32), "flt"
        integers = to_integers(block, bits)
        return (integers, "s16") if bits == 16 else (integers << (32 - bits), "s32")

    def _failure(self, error: BaseException) -> EncodeError:
        return self._file.failure(f"the {self._codec} encoder failed ({reason(error)})")


def _layout(n_channels: int) -> str:
    """FFmpeg's usual layout for a number of channels, or just the number if it has none."""
    try:
        return av.AudioLayout(f"{n_channels}c").name
    except ValueError:
        return f"{n_channels}C"


def _tell_padding(last: Packet[Any], n_samples: int) -> None:
    """Tell the muxer how many samples at the end are padding; it writes that into the LAME tag.

    FFmpeg's encoder tells no more than the last packet holds, but there may be some in the one before.
    """
    if last.has_sidedata("skip_samples"):
        skipped = last.get_sidedata("skip_samples")
        # The second of its numbers is the samples to drop at the end (FFmpeg's AV_PKT_DATA_SKIP_SAMPLES).
        struct.pack_into("<I", memoryview(skipped), 4, n_samples)
        last.set_sidedata(skipped)
