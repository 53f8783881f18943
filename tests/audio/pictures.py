"""A cover picture for audio files, made with FFmpeg's encoders."""

import av
import numpy as np


def picture(codec: str) -> bytes:
    """A cover picture of 48 × 32 random pixels, encoded as "png" or "mjpeg" (JPEG)."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = 48, 32
    context.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=context.pix_fmt)
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
