"""Damaged, odd and lying audio files, made from a fixed seed: name, bytes, and the results that are allowed."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import av
import numpy as np
import numpy.typing as npt
import soundfile

from tests.conftest import synthetic_music

SEED = 20_190_704
RATE = 44_100
N = 8_820
"""Samples of the files that are damaged: 0.2 s."""

LONGEST = 70 * RATE
"""Samples: the most that damage to 0.2 s may become (a damaged time stamp may mean up to a minute of silence)."""

REFUSED = range(0)
Make = Callable[[], bytes]
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A file to be separated.

    `lengths` are the numbers of samples, at the model's 44.1 kHz, that its stems may have; without any, it must be
    refused. With `may_fail` it may be refused too.
    """

    group: str
    name: str
    make: Make
    lengths: range
    may_fail: bool = False

    @property
    def id(self) -> str:
        return f"{self.group}-{self.name}"


def exactly(n_samples: int, sample_rate: int = RATE) -> range:
    """The length that so many samples have at 44.1 kHz; within one sample, where they are resampled."""
    wanted, slack = round(n_samples * RATE / sample_rate), int(sample_rate != RATE)
    return range(max(1, wanted - slack), wanted + slack + 1)


def up_to(n_samples: int) -> range:
    return range(1, n_samples + 1)


def random(label: str) -> np.random.Generator:
    """A generator of its own for each file, so that one more file leaves the others as they are."""
    return np.random.default_rng([SEED, zlib.crc32(label.encode())])


# --- undamaged audio files --------------------------------------------------------------------------------------


def music(n_samples: int = N, n_channels: int = 2, sample_rate: int = RATE) -> Samples:
    """Synthetic music (samples, channels), neighbouring channels different."""
    stereo = synthetic_music(n_samples, sample_rate, seed=n_samples)
    return np.stack([stereo[:, channel % 2] / (channel + 1) for channel in range(n_channels)], axis=1)


OPTIONS = {
    "fflags": "+bitexact",
    "movie_timescale": str(RATE),  # MP4 gives start and end in these units
    "page_duration": "20000",  # Ogg pages of 20 ms, so that damage does not hit all of a short file
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def by_sndfile(
    kind: str, subtype: str, n_samples: int = N, n_channels: int = 2, sample_rate: int = RATE, endian: str = "FILE"
) -> bytes:
    """A file written by libsndfile."""
    return stored(music(n_samples, n_channels, sample_rate), kind, subtype, sample_rate, endian)


def floats(samples: npt.NDArray[np.floating], subtype: str = "FLOAT") -> bytes:
    """A wav file with just these samples (samples, channels)."""
    return stored(samples, "WAV", subtype)


def stored(
    samples: npt.NDArray[np.floating], kind: str, subtype: str, sample_rate: int = RATE, endian: str = "FILE"
) -> bytes:
    """A file of samples (samples, channels) by libsndfile, without the time of day that some headers have."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format=kind, subtype=subtype, endian=endian)
    data = bytearray(buffer.getvalue())
    peak = data.find(b"PEAK", 0, 200)
    if peak >= 0:
        data[peak + 12 : peak + 16] = bytes(4)
    return bytes(data)


def by_ffmpeg(
    kind: str,
    codec: str | None,
    n_samples: int = N,
    n_channels: int = 2,
    sample_rate: int = RATE,
    picture_codec: str | None = None,
) -> bytes:
    """A file written by FFmpeg; `picture_codec` adds five pictures, `codec` None leaves the audio out."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind, container_options=OPTIONS) as container:
        pictures = container.add_stream(picture_codec, rate=25) if picture_codec else None
        stream = container.add_stream(codec, rate=sample_rate) if codec else None
        if isinstance(pictures, av.VideoStream):
            pictures.width = pictures.height = 32
            pictures.pix_fmt = "yuvj420p" if picture_codec == "mjpeg" else "yuv420p"
            pictures.options = {"flags": "+bitexact"}
        if isinstance(stream, av.AudioStream):
            stream.codec_context.layout = LAYOUTS[n_channels]
            stream.codec_context.bit_rate = 128_000
            stream.options = {"strict": "-2"} if codec == "vorbis" else {}
            samples = np.ascontiguousarray(music(n_samples, n_channels, sample_rate)).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout=LAYOUTS[n_channels])
            frame.sample_rate, frame.pts = sample_rate, 0
        container.start_encoding()
        if isinstance(pictures, av.VideoStream):
            for index in range(5):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * index, np.uint8))
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        if isinstance(stream, av.AudioStream):
            if n_samples:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return buffer.getvalue()


def remuxed(data: bytes, kind: str, seconds: int, first: int = 0) -> bytes:
    """An audio file in another container, with its packets from `first` on so many seconds later."""
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r") as source,
        av.open(buffer, "w", format=kind, container_options=OPTIONS) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for index, packet in enumerate(source.demux(source.streams.audio[0])):
            if packet.pts is not None and packet.time_base is not None:
                packet.pts = packet.dts = packet.pts + (int(seconds / packet.time_base) if index >= first else 0)
                packet.stream = stream
                target.mux(packet)
    return buffer.getvalue()


@dataclass(frozen=True)
class Format:
    """A file format; with `frame_size`, its samples are stored uncompressed at its end, so many bytes a frame."""

    extension: str
    make: Make
    frame_size: int | None = None
    slack: int = 0
    """Samples that the format adds at the end without recording that they are padding."""


FORMATS: Mapping[str, Format] = {
    "wav8": Format("wav", partial(by_sndfile, "WAV", "PCM_U8"), 2),
    "wav16": Format("wav", partial(by_sndfile, "WAV", "PCM_16"), 4),
    "wav24": Format("wav", partial(by_sndfile, "WAV", "PCM_24"), 6),
    "wav-float": Format("wav", partial(by_sndfile, "WAV", "FLOAT"), 8),
    "wav-double": Format("wav", partial(by_sndfile, "WAV", "DOUBLE"), 16),
    "wav-mulaw": Format("wav", partial(by_sndfile, "WAV", "ULAW"), 2),
    "wav-alaw": Format("wav", partial(by_sndfile, "WAV", "ALAW"), 2),
    "wav-adpcm": Format("wav", partial(by_sndfile, "WAV", "IMA_ADPCM"), slack=4_096),
    "wav-extensible": Format("wav", partial(by_sndfile, "WAVEX", "PCM_24"), 6),
    "wav-rf64": Format("wav", partial(by_sndfile, "RF64", "PCM_16"), 4),
    "w64": Format("w64", partial(by_sndfile, "W64", "PCM_16"), 4),
    "aiff": Format("aiff", partial(by_sndfile, "AIFF", "PCM_16"), 4),
    "au": Format("au", partial(by_sndfile, "AU", "PCM_16"), 4),
    "caf": Format("caf", partial(by_sndfile, "CAF", "PCM_24"), 6),
    "flac": Format("flac", partial(by_sndfile, "FLAC", "PCM_16")),
    "flac24": Format("flac", partial(by_sndfile, "FLAC", "PCM_24")),
    "mp3": Format("mp3", partial(by_ffmpeg, "mp3", "libmp3lame")),
    "mp3-sndfile": Format("mp3", partial(by_sndfile, "MP3", "MPEG_LAYER_III"), slack=1_152),
    "ogg": Format("ogg", partial(by_ffmpeg, "ogg", "vorbis"), slack=1_024),
    "opus": Format("opus", partial(by_ffmpeg, "opus", "libopus", sample_rate=48_000), slack=400),
    "m4a": Format("m4a", partial(by_ffmpeg, "mp4", "aac")),
    "alac": Format("m4a", partial(by_ffmpeg, "ipod", "alac")),
    "wma": Format("wma", partial(by_ffmpeg, "asf", "wmav2"), slack=2 * 2_048),
    "aac": Format("aac", partial(by_ffmpeg, "adts", "aac"), slack=2 * 1_024),
    "mp2": Format("mp2", partial(by_ffmpeg, "mp2", "mp2"), slack=2 * 1_152),
    "ac3": Format("ac3", partial(by_ffmpeg, "ac3", "ac3"), slack=2 * 1_536),
    "wv": Format("wv", partial(by_ffmpeg, "wv", "wavpack")),
    "tta": Format("tta", partial(by_ffmpeg, "tta", "tta")),
    "mp4": Format("mp4", partial(by_ffmpeg, "mp4", "aac", picture_codec="mpeg4")),
    "mov": Format("mov", partial(by_ffmpeg, "mov", "pcm_s16be", picture_codec="mjpeg")),
    "mkv": Format("mkv", partial(by_ffmpeg, "matroska", "flac", picture_codec="mpeg4")),
    "webm": Format("webm", partial(by_ffmpeg, "webm", "libopus", sample_rate=48_000), slack=400),
    "avi": Format("avi", partial(by_ffmpeg, "avi", "libmp3lame", picture_codec="mpeg4"), slack=3 * 1_152),
    "ts": Format("ts", partial(by_ffmpeg, "mpegts", "mp2", picture_codec="mpeg2video"), slack=2 * 1_152),
}

USUAL = (
    "wav8", "wav16", "wav24", "wav-float", "wav-mulaw", "wav-extensible", "wav-rf64", "aiff", "flac", "mp3", "ogg",
    "opus", "m4a", "wma", "mp4", "mkv",
)  # fmt: skip
"""The most common formats, which are damaged in more ways than the rest."""

LONG: Mapping[str, Format] = {
    "long-wav": Format("wav", partial(by_sndfile, "WAV", "PCM_16", 40_000, 1, 8_000)),
    "long-flac": Format("flac", partial(by_sndfile, "FLAC", "PCM_16", 40_000, 1, 8_000)),
    "long-mp3": Format("mp3", partial(by_ffmpeg, "mp3", "libmp3lame", 40_000, 1, 8_000)),
    "long-ogg": Format("ogg", partial(by_ffmpeg, "ogg", "vorbis", 5 * RATE)),
    "long-opus": Format("opus", partial(by_ffmpeg, "opus", "libopus", 40_000, 1, 8_000)),
    "long-m4a": Format("m4a", partial(by_ffmpeg, "mp4", "aac", 40_000, 1, 8_000)),
    "long-wma": Format("wma", partial(by_ffmpeg, "asf", "wmav2", 40_000, 1, 8_000)),
    "long-mkv": Format("mkv", partial(by_ffmpeg, "matroska", "flac", 40_000, 1, 8_000, "mpeg4")),
}
"""Five seconds, so that there is something to seek to."""

PART = 3.5, 0.5
"""The excerpt of the long files that is separated: offset and duration, in seconds."""


@lru_cache
def whole(kind: str) -> bytes:
    """The undamaged file of a format."""
    return (FORMATS.get(kind) or LONG[kind]).make()


def undamaged() -> Iterator[Case]:
    for kind, form in FORMATS.items():
        less = form.slack if kind == "wma" else 0  # its decoder drops the first frame
        lengths = exactly(N, 48_000) if form.slack == 400 else range(N - less, N + form.slack + 1)
        yield Case("undamaged", f"whole-{kind}.{form.extension}", partial(whole, kind), lengths)


# --- damage -----------------------------------------------------------------------------------------------------

HEADER = 200
"""Bytes that count as the header, where damage does more harm."""


def cut(kind: str, size: int | float) -> bytes:
    """The first bytes: so many, or that share of all; negative counts from the end."""
    data = whole(kind)
    return data[: int(len(data) * size) if isinstance(size, float) else size]


def flipped(kind: str, label: str, begin: int, end: int | None, count: int) -> bytes:
    """`count` bits flipped between two positions."""
    data, generator = bytearray(whole(kind)), random(f"{kind} {label}")
    for position in generator.integers(begin, min(end or len(data), len(data)), count):
        data[position] ^= 1 << int(generator.integers(8))
    return bytes(data)


def holed(kind: str) -> bytes:
    """A third of the file zeroed, as a disk or a download may leave it."""
    data = whole(kind)
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


def remaining(kind: str, size: int | float) -> Case:
    """A truncated file. How many uncompressed samples are left is known exactly."""
    form, name = FORMATS[kind], f"cut-{kind}-{size}.{FORMATS[kind].extension}"
    make = partial(cut, kind, size)
    if form.frame_size:
        header = len(whole(kind)) - N * form.frame_size
        left = max(0, len(make()) - header) // form.frame_size
        return Case(f"{kind}", name, make, exactly(left) if left else REFUSED)
    too_short = isinstance(size, int) and 0 <= size <= 10
    return Case(f"{kind}", name, make, REFUSED if too_short else up_to(N + form.slack), may_fail=not too_short)


def damaged() -> Iterator[Case]:
    for kind, form in FORMATS.items():
        sizes = (0, 1, 10, 44, 1000, 0.5, 0.9, -1) if kind in USUAL else (0.5, -1)
        yield from (remaining(kind, size) for size in sizes)
        spans = {"header": (0, HEADER, 1), "body": (HEADER, None, 5), "shot": (0, None, len(whole(kind)) // 100)}
        for span, (begin, end, count) in spans.items():
            attempts = {"header": 6, "body": 3, "shot": 2} if kind in USUAL else {"header": 3, "body": 1, "shot": 1}
            for attempt in range(attempts[span]):
                label = f"{span}{attempt}"
                make = partial(flipped, kind, label, begin, end, count)
                yield Case(kind, f"flip-{kind}-{label}.{form.extension}", make, up_to(LONGEST), may_fail=True)
        yield Case(kind, f"hole-{kind}.{form.extension}", partial(holed, kind), up_to(LONGEST), may_fail=True)


def damaged_long() -> Iterator[Case]:
    """Files of which the excerpt `PART` is to be separated."""
    most = round(PART[1] * RATE)
    for kind, form in LONG.items():
        yield Case("part", f"whole-{kind}.{form.extension}", partial(whole, kind), range(most, most + 1))
        for size in (1_000, 0.5, 0.75, -1):
            make = partial(cut, kind, size)
            yield Case("part", f"cut-{kind}-{size}.{form.extension}", make, up_to(most), may_fail=True)
        for attempt in range(6):
            make = partial(flipped, kind, f"{attempt}", (0, HEADER)[attempt % 2], None, 3 + 20 * (attempt // 2))
            yield Case("part", f"flip-{kind}-{attempt}.{form.extension}", make, up_to(most), may_fail=True)
        yield Case("part", f"hole-{kind}.{form.extension}", partial(holed, kind), up_to(most), may_fail=True)


# --- odd, and fine ----------------------------------------------------------------------------------------------

RATES = (8_000, 11_025, 12_345, 16_000, 22_050, 32_000, 48_000, 88_200, 96_000, 192_000, 1_000, 384_000)


def odd_audio() -> Iterator[Case]:
    for rate in RATES:
        n_samples = rate // 10
        make = partial(by_sndfile, "WAV", "PCM_16", n_samples, 2, rate)
        yield Case("odd", f"rate-{rate}.wav", make, exactly(n_samples, rate))
        if rate != 384_000:
            make = partial(by_sndfile, "FLAC", "PCM_24", n_samples, 1, rate)
            yield Case("odd", f"rate-{rate}-mono.flac", make, exactly(n_samples, rate))
    for n_channels in (1, 3, 4, 5, 6, 7, 8):
        for kind, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("WAVEX", "FLOAT"), ("CAF", "PCM_24")):
            make = partial(by_sndfile, kind, subtype, 1_000, n_channels)
            extension = {"WAVEX": "wav"}.get(kind, kind.lower())
            yield Case("odd", f"channels-{n_channels}-{kind}.{extension}", make, exactly(1_000))
    for n_channels in (16, 32, 64):
        make = partial(by_sndfile, "WAV", "PCM_16", 500, n_channels)
        yield Case("odd", f"channels-{n_channels}-WAV.wav", make, exactly(500))
    for kind, codec, extension in (("mp4", "aac", "m4a"), ("ac3", "ac3", "ac3"), ("matroska", "flac", "mkv")):
        make = partial(by_ffmpeg, kind, codec, N, 6)
        yield Case("odd", f"surround-{codec}.{extension}", make, range(N, N + 2 * 1_536 + 1))
    for n_samples in (1, 2, 3, 7, 44, 100, 441, 4_096, 16_384):
        for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16")):
            make = partial(by_sndfile, kind, subtype, n_samples)
            yield Case("odd", f"short-{n_samples}-{kind}-{subtype}.{kind.lower()}", make, exactly(n_samples))
    for n_samples in (1, 2, 100, 1_000):
        slack = 1_152 if n_samples < 100 else 0  # FFmpeg cannot record so much padding in an MP3 file
        for kind, codec, extension in (("mp3", "libmp3lame", "mp3"), ("mp4", "aac", "m4a"), ("ipod", "alac", "m4a")):
            make = partial(by_ffmpeg, kind, codec, n_samples)
            yield Case("odd", f"short-{n_samples}-{codec}.{extension}", make, range(n_samples, n_samples + slack + 1))
    yield Case("odd", "short-resampled.wav", partial(by_sndfile, "WAV", "PCM_16", 1, 1, 8_000), exactly(1, 8_000))
    yield Case("odd", "too-short-resampled.wav", partial(by_sndfile, "WAV", "PCM_16", 1, 1, 192_000), REFUSED)
    yield Case("odd", "silence.wav", partial(floats, np.zeros((1_000, 2), np.float32)), exactly(1_000))
    yield Case("odd", "denormal.wav", partial(floats, np.full((1_000, 2), 1e-40, np.float32)), exactly(1_000))
    yield Case("odd", "negative-zero.wav", partial(floats, np.full((1_000, 2), -0.0, np.float32)), exactly(1_000))
    yield Case("odd", "very-loud.wav", partial(floats, 100 * music(1_000)), exactly(1_000))
    yield Case("odd", "big-endian.wav", partial(by_sndfile, "WAV", "PCM_16", 1_000, endian="BIG"), exactly(1_000))


# --- NaN and infinity -------------------------------------------------------------------------------------------


def with_sample(value: float, position: int, channel: int | None = None, n_samples: int = N) -> bytes:
    samples = music(n_samples).astype(np.float64)
    samples[position, slice(None) if channel is None else channel] = value
    return floats(samples.astype(np.float32))


def non_finite() -> Iterator[Case]:
    values = {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf}
    for name, value in values.items():
        for where, position in (("first", 0), ("middle", N // 2), ("last", -1)):
            yield Case("numbers", f"{name}-{where}.wav", partial(with_sample, value, position), REFUSED)
        yield Case("numbers", f"{name}-right-only.wav", partial(with_sample, value, 10, 1), REFUSED)
        make = partial(with_sample, value, -1, None, 5 * RATE)  # when the stems are half written already
        yield Case("numbers", f"{name}-late.wav", make, REFUSED)
    yield Case("numbers", "all-nan.wav", partial(floats, np.full((N, 2), np.nan, np.float32)), REFUSED)
    yield Case("numbers", "double-nan.wav", partial(floats, np.full((N, 2), np.nan), "DOUBLE"), REFUSED)
    huge = np.full((N, 2), 1e300)
    yield Case("numbers", "double-beyond-float.wav", partial(floats, huge, "DOUBLE"), REFUSED)
    yield Case("numbers", "float-maximum.wav", partial(with_sample, 3.4e38, 10), exactly(N), may_fail=True)
    make = partial(by_sndfile, "AIFF", "FLOAT")
    yield Case("numbers", "nan-aiff.aiff", partial(nan_at_the_end, make, ">f4"), REFUSED)
    yield Case("numbers", "nan-au.au", partial(nan_at_the_end, partial(by_sndfile, "AU", "FLOAT"), ">f4"), REFUSED)


def nan_at_the_end(make: Make, kind: str) -> bytes:
    return make()[:-4] + np.array([np.nan], kind).tobytes()


# --- headers that lie -------------------------------------------------------------------------------------------

PCM = np.round(music() * 32767).astype("<i2").tobytes()


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk, whose header may give another size than its body has."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def wav_format(
    tag: int = 1, channels: int = 2, rate: int = RATE, frame_size: int = 4, bits: int = 16, extra: bytes = b""
) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame_size & 0xFFFFFFFF, frame_size, bits) + extra


def riff(*chunks: bytes, form: bytes = b"RIFF", size: int | None = None, kind: bytes = b"WAVE") -> bytes:
    body = kind + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


FMT, DATA = chunk(b"fmt ", wav_format()), chunk(b"data", PCM)


def lying_wavs() -> Iterator[Case]:
    unknown, most = range(1, 2 * N + 1), 0xFFFFFFFF
    fine: dict[str, bytes] = {
        "data-size-0": riff(FMT, chunk(b"data", PCM, 0)),
        "data-size-max": riff(FMT, chunk(b"data", PCM, most)),
        "data-size-double": riff(FMT, chunk(b"data", PCM, 2 * len(PCM))),
        "data-size-one-more": riff(FMT, chunk(b"data", PCM, len(PCM) + 1)),
        "riff-size-0": riff(FMT, DATA, size=0),
        "riff-size-10": riff(FMT, DATA, size=10),
        "riff-size-max": riff(FMT, DATA, size=most),
        "all-sizes-max": riff(FMT, chunk(b"data", PCM, most), size=most),
        "junk-before-fmt": riff(chunk(b"JUNK", bytes(1_001)), FMT, DATA),
        "junk-before-data": riff(FMT, chunk(b"LIST", b"INFOxxxx" + bytes(99)), chunk(b"\xff\0\1\2", b"?"), DATA),
        "junk-a-thousand": riff(*[chunk(b"JUNK", b"")] * 500, FMT, *[chunk(b"junk", b"odd")] * 500, DATA),
        "junk-after-data": riff(FMT, DATA, chunk(b"LIST", bytes(77)), chunk(b"id3 ", b"ID3" + bytes(50))),
        "junk-behind-the-end": riff(FMT, DATA) + random("behind").bytes(3_000),
        "fmt-longer": riff(chunk(b"fmt ", wav_format(extra=bytes(100))), DATA),
        "byte-rate-0": riff(chunk(b"fmt ", wav_format()[:8] + bytes(4) + wav_format()[12:]), DATA),
        "rf64-size-too-large": riff(
            chunk(b"ds64", struct.pack("<QQQI", 2**62, 2**62, 2**60, 0)),
            FMT, chunk(b"data", PCM, most), form=b"RF64", size=most,
        ),
    }  # fmt: skip
    refused: dict[str, bytes] = {
        "no-samples": riff(FMT, chunk(b"data", b"")),
        "no-samples-but-promised": riff(FMT, chunk(b"data", b"", 1_000)),
        "half-a-frame": riff(FMT, chunk(b"data", b"\1\2\3")),
        "no-data": riff(FMT),
        "no-fmt": riff(DATA),
        "no-chunks": riff(),
        "unknown-codec": riff(chunk(b"fmt ", wav_format(tag=0xABCD)), DATA),
        "picture-kind": riff(FMT, DATA, kind=b"WEBP"),
    }
    either: dict[str, bytes] = {
        "rf64-size-0": riff(
            chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0)), FMT, chunk(b"data", PCM, most), form=b"RF64", size=most
        ),
        "data-size-half": riff(FMT, chunk(b"data", PCM, len(PCM) // 2)),
        "data-size-negative": riff(FMT, chunk(b"data", PCM, 0x80000000)),
        "junk-unpadded": riff(chunk(b"JUNK", b"")[:-4] + struct.pack("<I", 3) + b"odd", FMT, DATA),
        "junk-beyond-the-end": riff(FMT, chunk(b"JUNK", b"", most - 8), DATA),
        "fmt-after-data": riff(DATA, FMT),
        "fmt-twice": riff(FMT, chunk(b"fmt ", wav_format(channels=1, frame_size=2)), DATA),
        "fmt-empty": riff(chunk(b"fmt ", b""), DATA),
        "fmt-short": riff(chunk(b"fmt ", wav_format()[:10]), DATA),
        "fmt-max": riff(chunk(b"fmt ", wav_format(), most), DATA),
        "data-twice": riff(FMT, DATA, DATA),
        "data-twice-with-fmt": riff(FMT, DATA, chunk(b"fmt ", wav_format(channels=1, frame_size=2)), DATA),
        "channels-0": riff(chunk(b"fmt ", wav_format(channels=0, frame_size=0)), DATA),
        "channels-1000": riff(chunk(b"fmt ", wav_format(channels=1_000, frame_size=2_000)), DATA),
        "channels-65535": riff(chunk(b"fmt ", wav_format(channels=65_535, frame_size=65_534)), DATA),
        "rate-0": riff(chunk(b"fmt ", wav_format(rate=0)), DATA),
        "rate-max": riff(chunk(b"fmt ", wav_format(rate=most)), DATA),
        "rate-negative": riff(chunk(b"fmt ", wav_format(rate=0x80000000)), DATA),
        "rate-2GHz": riff(chunk(b"fmt ", wav_format(rate=2**31 - 1)), DATA),
        "rate-100MHz": riff(chunk(b"fmt ", wav_format(rate=100_000_000)), DATA),
        "bits-0": riff(chunk(b"fmt ", wav_format(bits=0)), DATA),
        "bits-1": riff(chunk(b"fmt ", wav_format(bits=1)), DATA),
        "bits-255": riff(chunk(b"fmt ", wav_format(bits=255)), DATA),
        "frame-size-0": riff(chunk(b"fmt ", wav_format(frame_size=0)), DATA),
        "frame-size-1": riff(chunk(b"fmt ", wav_format(frame_size=1)), DATA),
        "frame-size-max": riff(chunk(b"fmt ", wav_format(frame_size=65_535)), DATA),
        "mp3-in-name-only": riff(chunk(b"fmt ", wav_format(tag=0x55)), DATA),
        "adpcm-in-name-only": riff(chunk(b"fmt ", wav_format(tag=0x11, bits=4)), DATA),
        "aac-in-name-only": riff(chunk(b"fmt ", wav_format(tag=0xFF, extra=b"\2\0\x12\x10")), DATA),
        "floats-in-name-only": riff(chunk(b"fmt ", wav_format(tag=3, bits=32, frame_size=8)), DATA),
        "extensible-without": riff(chunk(b"fmt ", wav_format(tag=0xFFFE)), DATA),
        "extensible-mask": riff(
            chunk(b"fmt ", wav_format(0xFFFE, extra=struct.pack("<HHI", 22, 16, most) + b"\1\0" + bytes(14))), DATA
        ),
    }
    slow = riff(chunk(b"fmt ", wav_format(rate=10, frame_size=4)), chunk(b"data", PCM[:80]))
    for name, data in fine.items():
        yield Case("lying-wav", f"{name}.wav", partial(bytes, data), exactly(N))
    for name, data in refused.items():
        yield Case("lying-wav", f"{name}.wav", partial(bytes, data), REFUSED)
    for name, data in either.items():
        lengths = unknown if "rate" not in name and "only" not in name else up_to(LONGEST)
        yield Case("lying-wav", f"{name}.wav", partial(bytes, data), lengths, may_fail=True)
    yield Case("lying-wav", "rate-10Hz.wav", partial(bytes, slow), exactly(20, 10), may_fail=True)


def patched(kind: str, marker: bytes, offset: int, value: bytes) -> bytes:
    """A whole file with the bytes at `offset` from a marker's first occurrence replaced."""
    data = whole(kind)
    position = data.index(marker) + offset
    return data[:position] + value + data[position + len(value) :]


def syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 127 for shift in (21, 14, 7, 0))


def id3(body: bytes, size: int | None = None) -> bytes:
    """An ID3v2.3 tag in front of an MP3 file."""
    return b"ID3\3\0\0" + syncsafe(len(body) if size is None else size) + body


def lying(name: str, data: bytes, lengths: range | None = None) -> Case:
    """A file whose lengths are known or, if None, may be anything within reason, or nothing."""
    anything = lengths is None
    return Case("lying", name, partial(bytes, data), up_to(LONGEST) if anything else lengths or REFUSED, anything)


def lying_flacs() -> Iterator[Case]:
    flac, junk = whole("flac"), random("junk").bytes(5_000)
    head = b"\x0a\xc4\x42"  # 44100 Hz, stereo, and the first bit of 16 bits; 36 bits of length follow after four more
    yield lying("length-unknown.flac", patched("flac", head, 3, b"\xf0\0\0\0\0"), exactly(N))
    yield lying("length-max.flac", patched("flac", head, 3, b"\xff" * 5), exactly(N))
    yield lying("length-1.flac", patched("flac", head, 3, b"\xf0\0\0\0\1"))
    yield lying("wrong-md5.flac", patched("flac", head, 8, bytes(range(16))), exactly(N))
    yield lying("rate-0.flac", patched("flac", head, 0, b"\0\0\2"))
    yield lying("id3-in-front.flac", id3(junk) + flac, exactly(N))
    yield lying("picture-16MB.flac", flac[:4] + b"\6\xff\xff\xff" + flac[4:])
    yield lying("picture-huge.flac", flac[:4] + flac_picture(png_header(65_535, 65_535)) + flac[4:], exactly(N))
    yield lying("picture-empty.flac", flac[:4] + flac_picture(b"") + flac[4:], exactly(N))
    yield lying("flac-and-junk.flac", flac + junk)
    yield lying("junk-and-flac.flac", junk + flac)
    yield lying("flac-twice.flac", flac + flac)
    yield lying("zero-length-flac.flac", by_sndfile("FLAC", "PCM_16", 0), REFUSED)


def lying_mp3s() -> Iterator[Case]:
    mp3, junk = whole("mp3"), random("junk").bytes(50_000)
    other = by_ffmpeg("mp3", "libmp3lame", 2_205, 1, 22_050)
    yield lying("id3-junk.mp3", id3(junk) + mp3, exactly(N))
    yield lying("id3-size-too-large.mp3", id3(junk[:2_000], 2**28 - 1) + mp3)
    yield lying("id3-size-too-small.mp3", id3(bytes(2_000), 10) + mp3)
    yield lying("id3-ten-times.mp3", id3(bytes(100)) * 10 + mp3)
    yield lying("id3-only.mp3", id3(bytes(100)), REFUSED)
    yield lying("id3v1-behind.mp3", mp3 + b"TAG" + bytes(125), exactly(N))
    yield lying("mp3-and-junk.mp3", mp3 + junk)
    yield lying("junk-and-mp3.mp3", junk[:3_000] + mp3)
    yield lying("text-and-mp3.mp3", b"no sound " * 100 + mp3)
    yield lying("zeros-and-mp3.mp3", bytes(5_000) + mp3)
    yield lying("frames-0.mp3", patched("mp3", b"Info", 8, bytes(4)))
    yield lying("frames-max.mp3", patched("mp3", b"Info", 8, b"\xff" * 4))
    yield lying("rate-falls.mp3", mp3 + other)
    yield lying("rate-rises.mp3", other + mp3)
    yield lying("zero-length-mp3.mp3", by_ffmpeg("mp3", "libmp3lame", 0), REFUSED)


def lying_oggs() -> Iterator[Case]:
    ogg = whole("ogg")
    last = ogg.rindex(b"OggS")
    yield lying("chained.ogg", ogg + ogg)
    yield lying("chained-with-opus.ogg", ogg + whole("opus"))
    yield lying("headers-only.ogg", ogg[: first_audio_page(ogg)], REFUSED)
    yield lying("last-page-twice.ogg", ogg + ogg[last:])
    yield lying("position-max.ogg", ogg[: last + 6] + b"\xff" * 7 + b"\x7f" + ogg[last + 14 :])


def lying_mp4s() -> Iterator[Case]:
    m4a, most = whole("m4a"), b"\x7f\xff\xff\xff"
    index = m4a.index(b"moov") - 4
    patches = {
        "time-scale-0": (b"mdhd", 16, bytes(4)),
        "time-scale-1": (b"mdhd", 16, b"\0\0\0\1"),
        "duration-max": (b"mdhd", 20, most),
        "packets-max": (b"stsz", 12, b"\xff" * 4),
        "packet-size-max": (b"stsz", 8, most),
        "times-max": (b"stts", 8, b"\xff" * 4),
        "time-step-max": (b"stts", 16, most),
        "edit-list-max": (b"elst", 12, most + most),
        "offset-beyond": (b"stco", 12, b"\xff" * 4),
        "box-size-0": (b"trak", -4, bytes(4)),
        "box-size-max": (b"moov", -4, b"\xff" * 4),
    }
    for name, (box, offset, value) in patches.items():
        yield lying(f"{name}.m4a", patched("m4a", box, offset, value))
    yield lying("no-index.m4a", m4a[:index], REFUSED)
    yield lying("index-only.m4a", m4a[index:], REFUSED)
    yield lying("boxes-nested.m4a", m4a[:index] + nested(b"moov", 10_000), REFUSED)
    yield lying("zero-length-m4a.m4a", by_ffmpeg("mp4", "aac", 0), REFUSED)
    yield lying("no-sound-mp4.mp4", by_ffmpeg("mp4", None, picture_codec="mpeg4"), REFUSED)


def lying_rest() -> Iterator[Case]:
    yield lying("no-sound-mkv.mkv", by_ffmpeg("matroska", None, picture_codec="mpeg4"), REFUSED)
    yield lying("ten-hours-later.mkv", remuxed(whole("flac"), "matroska", 36_000, first=1), up_to(LONGEST))
    yield lying("hours-after-zero.mkv", remuxed(whole("flac"), "matroska", 36_000), exactly(N))
    yield lying("before-zero.mkv", remuxed(whole("flac"), "matroska", -3))
    yield lying("zero-length-aiff.aiff", by_sndfile("AIFF", "PCM_16", 0), REFUSED)


def first_audio_page(ogg: bytes) -> int:
    """The byte where an Ogg file's first page with audio begins: the first granule position above 0."""
    position = 0
    while ogg[position + 6 : position + 14] == bytes(8):
        position = ogg.index(b"OggS", position + 1)
    return position


def nested(name: bytes, depth: int) -> bytes:
    """MP4 boxes, each in the one before."""
    return b"".join(struct.pack(">I", 8 * level) + name for level in range(depth, 0, -1))


def flac_picture(picture: bytes) -> bytes:
    """A FLAC metadata block with a front cover."""
    body = struct.pack(">II9sI", 3, 9, b"image/png", 0) + struct.pack(">IIIII", 1, 1, 24, 0, len(picture)) + picture
    return struct.pack(">I", 6 << 24 | len(body)) + body


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG picture of any size."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


# --- files without audio ----------------------------------------------------------------------------------------

TEXT = b"Dear listener, this is a letter and no song.\n" * 30


def without_audio() -> Iterator[Case]:
    pixels = b"IDAT" + zlib.compress(bytes(4))
    png = png_header(1, 1) + struct.pack(">I", len(pixels) - 4) + pixels + struct.pack(">I", zlib.crc32(pixels))
    contents = {
        "empty": b"",
        "text": TEXT,
        "png": png + b"\0\0\0\0IEND\xaeB`\x82",
        "zeros": bytes(50_000),
        "newlines": b"\n" * 3_000,
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
        "json": b'{"error": "rate limit"}',
        "zip": b"PK\3\4\x14\0\0\0\0\0" + bytes(100),
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + zlib.compress(PCM[:1000]),
        "elf": b"\x7fELF\2\1\1" + bytes(500),
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(500),
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nLa la la\n\n",
        "utf16": TEXT.decode().encode("utf-16"),
        "script": b"-SE\none: 200+10/20\noff: -\n0:00:00 one\n0:00:01 off\n",  # FFmpeg would play sbagen scripts
        "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    }
    for content, data in contents.items():
        for extension in ("mp3", "wav", "flac", "m4a", "ogg"):
            yield Case("no-sound", f"{content}-{extension}.{extension}", partial(bytes, data), REFUSED)
    for extension in ("mp3", "wav", "flac", "m4a", "ogg", "wma", "aac", "mkv", "ts"):
        for name, make in (("ones", partial(bytes, b"\xff" * 50_000)), ("noise", partial(noise, extension))):
            yield Case("no-sound", f"{name}-{extension}.{extension}", make, up_to(LONGEST), may_fail=True)


def noise(label: str) -> bytes:
    return random(f"noise {label}").bytes(50_000)


# --- tags -------------------------------------------------------------------------------------------------------


def tagged_flac(comments: Mapping[str, bytes], picture: bytes | None = None) -> bytes:
    """A FLAC file with these Vorbis comments and this picture, whatever they are."""
    entries = [key.encode() + b"=" + value for key, value in comments.items()]
    body = struct.pack("<I", 0) + struct.pack("<I", len(entries))
    body += b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    blocks = struct.pack(">I", 4 << 24 | len(body)) + body
    if picture is not None:
        blocks += flac_picture(picture)
    data = whole("flac")
    stream_info_end = 4 + 4 + 34
    return data[:4] + b"\0" + data[5:stream_info_end] + blocks + drop_metadata(data)


def drop_metadata(flac: bytes) -> bytes:
    """The frames of a FLAC file."""
    position, is_last = 4, False
    while not is_last:
        head = int.from_bytes(flac[position : position + 4], "big")
        is_last = bool(head >> 31)
        position += 4 + (head & 0xFFFFFF)
    return b"\x81\0\0\0" + flac[position:]  # behind an empty padding block, the last of all


def tagged_mp3(*frames: tuple[bytes, bytes]) -> bytes:
    """An MP3 file with these ID3v2.3 frames."""
    body = b"".join(name + struct.pack(">IH", len(content), 0) + content for name, content in frames)
    return id3(body) + whole("mp3")


def tags() -> Iterator[Case]:
    comments: dict[str, dict[str, bytes]] = {
        "long": {"TITLE": b"x" * 200_000, "ARTIST": b"y" * 70_000},
        "many": {f"KEY{index}": b"value" for index in range(3_000)},
        "lines": {"TITLE": b"one\r\ntwo\nthree\0four", "ALBUM": b"\n"},
        "escapes": {"TITLE": b"\x1b[2J\x07\x9b31m", "GENRE": b"\x01\x02\x7f"},
        "not-utf8": {"TITLE": b"\xff\xfe\xc3\x28", "ARTIST": b"\xed\xa0\x80", "DATE": b"\xf8\x88"},
        "unicode": {"TITLE": "曲 🎵 \u202eesrever\u0301".encode(), "COMMENT": "\u2028".encode()},
        "keys": {"": b"nothing", "=": b"=", "A B": b"c", "x" * 5_000: b"long", "ti\ntle": b"line"},
        "numbers": {"DATE": b"yesterday", "TRACKNUMBER": b"99999999999/0", "BPM": b"-1"},
        "picture-text": {"METADATA_BLOCK_PICTURE": b"!!! no base64 !!!"},
        "picture-cut": {"METADATA_BLOCK_PICTURE": base64.b64encode(b"\0\0\0\3\0")},
    }
    covers = {
        "noise": noise("cover"),
        "header-only": png_header(2, 2),
        "gigantic": png_header(2**31 - 1, 2**31 - 1),
        "nothing": png_header(0, 0),
        "jpeg-cut": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        "sound": whole("mp3"),
        "megabyte": random("cover").bytes(1 << 20),
    }
    frames: dict[str, list[tuple[bytes, bytes]]] = {
        "encodings": [(b"TIT2", b"\1\xff\xfex"), (b"TPE1", b"\1x"), (b"TALB", b"\x09wrong"), (b"TCON", b"")],
        "broken": [(b"TIT2", b"\3title"), (b"\0\0\0\0", b"xx"), (b"APIC", b"\0image/png")],
        "cover-text": [(b"APIC", b"\0image/png\0\3\0" + TEXT)],
        "cover-link": [(b"APIC", b"\0-->\0\3\0file:///etc/hostname")],
        "cover-twice": 2 * [(b"APIC", b"\0image/png\0\3\0" + png_header(2, 2))],
        "private": [(b"PRIV", b"owner\0" + noise("private")), (b"GEOB", b"\0a\0b\0c\0" + bytes(999))],
        "chapters": [(b"CHAP", b"one\0" + b"\xff" * 16), (b"CTOC", b"toc\0\3\xff")],
    }
    for name, entries in comments.items():
        yield Case("tags", f"comments-{name}.flac", partial(tagged_flac, entries), exactly(N))
    for name, cover in covers.items():
        yield Case("tags", f"cover-{name}.flac", partial(tagged_flac, {}, cover), exactly(N))
    for name, parts in frames.items():
        yield Case("tags", f"id3-{name}.mp3", partial(tagged_mp3, *parts), exactly(N))


# --- names ------------------------------------------------------------------------------------------------------

NAMES: Mapping[str, str | bytes] = {
    "emoji": "🎵🎸 emoji 👩‍👩‍👧.wav",
    "unicode": "Ünï unicode – 曲 песня أغنية.wav",
    "composed": "composed \u00e9.wav",
    "decomposed": "decomposed e\u0301.wav",
    "right-to-left": "right-to-left \u202evaw.wav",
    "invisible": "invisible \u200b\ufeff\u2028.wav",
    "-dash": "-dash.wav",
    "--dashes": "--dashes.wav",
    "newline": "newline\nsecond line.wav",
    "return": "return\rover.wav",
    "tabulator": "tabulator\tx.wav",
    "escape": "escape \x1b[2J\x1b]0;title\x07.wav",
    "control": "control \x01\x02\x7f\x80\x9b.wav",
    "quotes": "quotes ' \" ` “.wav",
    "shell": "shell $(id) `id` $HOME ; & | > < ! ~.wav",
    "percent": "percent %03d %s %(name)s %n.wav",
    "braces": "braces {instrument} {} {0} {filename.wav",
    "markup": "markup [bold red]x[green].wav",
    "hash": "hash #1.wav",
    "question": "question ? * [a-z].wav",
    "backslash": "backslash \\ \\n \\x41.wav",
    "http": "http:--127.0.0.1:1.wav",
    "file": "file:file.wav",
    "concat": "concat:a|b.wav",
    "pipe": "pipe:0.wav",
    "data": "data:audio,wav.wav",
    " spaces": " spaces  .wav",
    "dots": "dots...wav",
    "..leading-dots": "..leading-dots.wav",
    ".hidden": ".hidden.wav",
    "no-extension": "no-extension",
    "CAPITALS": "CAPITALS.WAV",
    "wrong-extension": "wrong-extension.txt",
    "playlist-extension": "playlist-extension.m3u8",
    "picture-extension": "picture-extension.png",
    "two-extensions": "two-extensions.tar.wav",
    "con": "con.wav",
    "long255": "long255" + "x" * (255 - 11) + ".wav",
    "long-unicode": "long-unicode" + "曲" * 79 + ".wav",
    "long-no-extension": "long-no-extension" + "x" * (255 - 17),
    "latin1": b"latin1 \xe9\xff.wav",
    "half-utf8": b"half-utf8 \xe6\x9b.wav",
    "surrogate": b"surrogate \xed\xa0\x80.wav",
}  # fmt: skip


# --- what names other files -------------------------------------------------------------------------------------


def playlists(address: str, target: str) -> dict[str, bytes]:
    """Files that make a player open others: an audio file beside them, `target`, by its path, and an address."""
    neighbour = target.rpartition("/")[2]
    urls = {
        "neighbour": neighbour,
        "path": target,
        "file": f"file://{target}",
        "http": f"{address}/song.wav",
        "concat": f"concat:{target}|{target}",
        "subfile": f"subfile,,start,0,end,1000,,:{target}",
        "data": "data:audio/x-wav;base64," + base64.b64encode(by_sndfile("WAV", "PCM_16", 500)).decode(),
    }
    made: dict[str, bytes] = {}
    for name, url in urls.items():
        hls = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{url}\n"
        hls += "#EXT-X-ENDLIST\n"
        concat = f"ffconcat version 1.0\nfile '{url}'\n"
        master = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{url}\n"
        made |= {
            f"hls-{name}.m3u8": hls.encode(),
            f"hls-{name}.mp3": hls.encode(),
            f"hls-{name}.wav": hls.encode(),
            f"hls-master-{name}.m3u8": master.encode(),
            f"m3u-{name}.m3u": f"#EXTM3U\n#EXTINF:1,Song\n{url}\n".encode(),
            f"ffconcat-{name}.ffconcat": concat.encode(),
            f"ffconcat-{name}.mp3": concat.encode(),
            f"concat-{name}.txt": f"file '{url}'\n".encode(),
            f"pls-{name}.pls": f"[playlist]\nNumberOfEntries=1\nFile1={url}\nLength1=1\nVersion=2\n".encode(),
            f"cue-{name}.cue": f'FILE "{url}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode(),
            f"asx-{name}.asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>\n'.encode(),
            f"ram-{name}.ram": f"{url}\n".encode(),
            f"mov-reference-{name}.mov": reference_movie(url),
        }
    made |= {
        "hls-key.m3u8": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n#EXTINF:1,\n{neighbour}\n'.encode(),
        "hls-map.m3u8": f'#EXTM3U\n#EXT-X-MAP:URI="{target}"\n#EXTINF:1,\n{address}/a.m4s\n'.encode(),
        "dash.mpd": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
            f'mimeType="audio/mp4"><Representation id="1"><BaseURL>{address}/song.m4a</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>\n"
        ).encode(),
        "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "redirect.mov": f"rtsptext\nrtsp://{address.removeprefix('http://')}/song\n".encode(),
        "pictures.ffconcat": b"ffconcat version 1.0\nfile 'pipe:0'\nfile 'fd:0'\nfile 'lavfi:sine'\n",
    }  # fmt: skip
    return made


def reference_movie(url: str) -> bytes:
    """A QuickTime movie that consists of a reference to another."""

    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", 8 + len(body)) + name + body

    reference = box(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(url) + 1) + url.encode() + b"\0")
    return box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


FAMILIES = (
    undamaged, damaged, damaged_long, odd_audio, non_finite, lying_wavs, lying_flacs, lying_mp3s, lying_oggs,
    lying_mp4s, lying_rest, without_audio, tags,
)  # fmt: skip

INPUTS: tuple[Case, ...] = tuple(one for family in FAMILIES for one in family())
