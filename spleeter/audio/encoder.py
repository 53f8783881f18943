"""Blocks of a waveform -> an encoded file: through FFmpeg's encoders, or libsndfile's for Ogg Vorbis."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av.packet import Packet

from spleeter.audio.adapter import Tag
from spleeter.audio.codec import Encoding, parse_bitrate
from spleeter.audio.convertor import to_integers
from spleeter.audio.files import AV_ERRORS, OutputFile
from spleeter.audio.metadata import values_of
from spleeter.types import Waveform
from spleeter.utils.logging import logger
from spleeter.utils.names import reason

__all__ = ["Encoder", "FFmpegEncoder", "VorbisEncoder", "open_encoder"]

_SLICE = 1 << 16
"""Samples given to an encoder in one call; one long write has crashed libsndfile."""

_SNDFILE_ERRORS = (soundfile.SoundFileError, ValueError)


class Encoder(Protocol):
    """Encodes blocks into a file."""

    sample_rate: int
    """The rate that blocks must have, in hertz: the nearest to the wanted one that the codec can hold."""

    def encode(self, block: Waveform) -> None:
        """Encode a block (samples, channels), float32. Raises EncodeError."""

    def finish(self) -> None:
        """Encode what is left, and complete the file. Raises EncodeError."""


def open_encoder(
    file: OutputFile, sample_rate: int, n_channels: int, encoding: Encoding, tags: Mapping[str, Tag]
) -> Encoder:
    """Open the encoder of the library that the codec's row names; its header is written, so that failures come early.

    Args:
        file: where the bytes go.
        sample_rate: of the waveform, in hertz.
        n_channels: of the waveform.
        encoding: codec, bit rate, bit depth.
        tags: for formats whose muxer writes tags that mutagen does not.

    Raises:
        EncodeError: if the codec cannot hold such a waveform.
    """
    spec = encoding.codec.spec
    if not 1 <= n_channels <= spec.max_channels:
        raise file.failure(f"{encoding.codec} holds 1 to {spec.max_channels} channels, not {n_channels}")
    if spec.library == "libsndfile":
        return VorbisEncoder(file, sample_rate, n_channels, encoding)
    return FFmpegEncoder(file, sample_rate, n_channels, encoding, tags)


def _bitrate(file: OutputFile, encoding: Encoding, sample_rate: int, n_channels: int) -> int:
    """The bit rate of a lossy codec, in bits per second, with a warning if it is not the one asked for."""
    wanted = None if encoding.bitrate is None else parse_bitrate(encoding.bitrate)
    bitrate = encoding.codec.spec.bitrate_for(wanted, sample_rate, n_channels)
    if wanted not in (None, bitrate):
        logger.warning(
            "%s: %s with %d Hz and %d channels cannot have %d kbit/s; %d kbit/s are written",
            *(file.label, encoding.codec, sample_rate, n_channels, wanted / 1000, bitrate / 1000),
        )
    return bitrate


class FFmpegEncoder:
    """Encodes with FFmpeg's libraries. Arguments and errors as for `open_encoder`."""

    def __init__(
        self, file: OutputFile, sample_rate: int, n_channels: int, encoding: Encoding, tags: Mapping[str, Tag]
    ) -> None:
        self._file, self._encoding, self._spec = file, encoding, encoding.codec.spec
        self.sample_rate = self._spec.sample_rate_for(sample_rate)
        bitrate = _bitrate(file, encoding, self.sample_rate, n_channels) if self._spec.is_lossy else None
        self._n_sent = self._n_packets = self._first_time = 0
        try:
            options = {key: value.format(rate=self.sample_rate) for key, value in self._spec.muxer_options.items()}
            self._container = av.open(file, "w", format=self._spec.container, container_options=options)
            self._stream = self._add_stream(n_channels, bitrate)
            if self._spec.has_info_chunk:
                self._container.metadata.update({name: "; ".join(values_of(tag)) for name, tag in tags.items()})
            self._container.start_encoding()
            n_priming = self._spec.n_priming_frames * self._stream.frame_size
            self._send(np.zeros((n_priming, n_channels), np.float32))
        except AV_ERRORS as error:
            wanted = f"{self.sample_rate} Hz, {n_channels} channels" + (f", {bitrate} bit/s" if bitrate else "")
            raise file.failure(f"the {encoding.codec} encoder cannot do {wanted} ({reason(error)})") from error

    def encode(self, block: Waveform) -> None:
        try:
            for begin in range(0, len(block), _SLICE):
                self._send(block[begin : begin + _SLICE])
        except AV_ERRORS as error:
            raise self._file.failure(f"the {self._encoding.codec} encoder failed ({reason(error)})") from error

    def finish(self) -> None:
        try:
            self._mux(self._stream.encode(None), is_last=True)
            self._container.close()
        except AV_ERRORS as error:
            raise self._file.failure(f"the {self._encoding.codec} encoder failed ({reason(error)})") from error

    def _add_stream(self, n_channels: int, bitrate: int | None) -> av.AudioStream:
        stream = self._container.add_stream(self._encoding.encoder, rate=self.sample_rate)
        assert isinstance(stream, av.AudioStream)
        context = stream.codec_context
        context.layout = _default_layout(n_channels)
        if bitrate is not None:
            context.bit_rate = bitrate
        if self._encoding.integer_bits:
            context.format = "s16" if self._encoding.integer_bits == 16 else "s32"
        return stream

    def _send(self, block: Waveform) -> None:
        if not len(block):
            return
        samples, sample_format = self._converted(block)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format=sample_format, layout=self._stream.layout)
        frame.sample_rate, frame.pts = self.sample_rate, self._n_sent
        frame.time_base = self._stream.codec_context.time_base
        self._n_sent += len(block)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet[Any]], is_last: bool = False) -> None:
        if packets and not self._n_packets:
            self._first_time = packets[0].pts or 0
        self._n_packets += len(packets)
        if is_last and self._spec.has_end_padding:
            end = self._first_time + self._n_packets * self._stream.frame_size
            _set_end_padding(packets[-1], end - self._n_sent)
        self._container.mux(packets)

    def _converted(
        self, block: Waveform
    ) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int16], str]:
        """The samples (samples, channels) in the type that the encoder is given, and FFmpeg's name of it.

        24 bits lie in the upper ones of 32.
        """
        bits = self._encoding.integer_bits
        if bits is None:
            return np.ascontiguousarray(block, np.float32), "flt"
        integers = to_integers(block, bits)
        return (integers, "s16") if bits == 16 else (integers << (32 - bits), "s32")


def _default_layout(n_channels: int) -> str:
    """FFmpeg's default layout for a number of channels, or just the number if it has none."""
    try:
        return av.AudioLayout(f"{n_channels}c").name
    except ValueError:
        return f"{n_channels}C"


def _set_end_padding(last: Packet[Any], n_samples: int) -> None:
    """Give the muxer the number of padding samples at the end; it writes that into the LAME tag.

    FFmpeg's encoder gives no more than the last packet holds, but there may be some in the one before.
    """
    if last.has_sidedata("skip_samples"):
        skipped = last.get_sidedata("skip_samples")
        # The second of its numbers is the samples to drop at the end (FFmpeg's AV_PKT_DATA_SKIP_SAMPLES).
        struct.pack_into("<I", memoryview(skipped), 4, n_samples)
        last.set_sidedata(skipped)


_VORBIS_BITRATES = {
    1: (48_000, 60_000, 70_000, 80_000, 86_000, 96_000, 110_000, 120_000, 140_000, 160_000, 240_000),
    2: (64_000, 80_000, 96_000, 112_000, 128_000, 160_000, 192_000, 224_000, 256_000, 320_000, 500_000),
}
"""Bits per second that the qualities 0 to 10 aim at, mono and stereo at 44.1 and 48 kHz (libvorbis, setup_44*.h)."""


class VorbisEncoder:
    """Encodes Ogg Vorbis with libsndfile.

    Arguments and errors as for `open_encoder`. The bit rate becomes the quality that aims at it at 44.1 kHz.
    """

    def __init__(self, file: OutputFile, sample_rate: int, n_channels: int, encoding: Encoding) -> None:
        spec = encoding.codec.spec
        self._file, self._codec = file, encoding.codec
        self.sample_rate = spec.sample_rate_for(sample_rate)
        bitrate = _bitrate(file, encoding, self.sample_rate, n_channels)
        # Blocks are joined: libvorbis's choices depend on how much it is given at once.
        self._rest = np.zeros((0, n_channels), np.float32)
        quality = float(np.interp(bitrate, _VORBIS_BITRATES[n_channels], range(11)))
        try:
            self._stream = soundfile.SoundFile(
                file,
                "w",
                self.sample_rate,
                n_channels,
                format=spec.container,
                subtype=encoding.encoder,
                compression_level=1.0 - quality / 10.0,  # libsndfile's: 0 is quality 10, 1 is quality 0
            )
        except _SNDFILE_ERRORS as error:
            raise file.failure(
                f"the {self._codec} encoder cannot do {self.sample_rate} Hz ({reason(error)})"
            ) from error

    def encode(self, block: Waveform) -> None:
        self._rest = np.concatenate([self._rest, block])
        while len(self._rest) >= _SLICE:
            self._write(self._rest[:_SLICE])
            self._rest = self._rest[_SLICE:]

    def _write(self, samples: Waveform) -> None:
        try:
            self._stream.write(np.ascontiguousarray(samples, np.float32))
        except _SNDFILE_ERRORS as error:
            raise self._file.failure(f"the {self._codec} encoder failed ({reason(error)})") from error

    def finish(self) -> None:
        self._write(self._rest)
        try:
            self._stream.close()
        except _SNDFILE_ERRORS as error:
            raise self._file.failure(f"the {self._codec} encoder failed ({reason(error)})") from error
