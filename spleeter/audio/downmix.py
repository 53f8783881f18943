"""Many channels to stereo or mono: FFmpeg's downmix, as a matrix."""

from __future__ import annotations

from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt


@lru_cache(maxsize=32)
def downmix_matrix(layout: str, n_channels: int) -> npt.NDArray[np.float32]:
    """The weights (n_channels, inputs) with which FFmpeg mixes a channel layout down to 1 or 2 channels.

    Front channels count whole, centre and surrounds 1/√2, the low-frequency channel not at all, each row
    then divided so that no sum can exceed full scale: what `ffmpeg -ac 2` does for integer formats. They are
    learnt by giving FFmpeg one unit impulse a channel. A layout of which only the count is known is taken
    for the usual one with that count; without one, the first channels are kept.

    Args:
        layout: FFmpeg's name of the layout, e.g. "5.1(side)" or "6 channels".
        n_channels: 1 or 2, and not more than the layout has.
    """
    n_inputs = av.AudioLayout(layout).nb_channels
    impulses = np.eye(n_inputs, dtype=np.float32).reshape(1, -1)
    try:
        frame = av.AudioFrame.from_ndarray(impulses, format="flt", layout=_usual_layout(layout, n_inputs))
        frame.sample_rate = 48_000  # any: nothing is resampled
        mixer = av.AudioResampler(
            format="flt", layout=f"{n_channels}c", rate=48_000, options={"rematrix_maxval": "1.0"}
        )
        answers = [answer.to_ndarray() for answer in mixer.resample(frame) + mixer.resample(None)]
    except (av.FFmpegError, ValueError):
        return np.eye(n_channels, n_inputs, dtype=np.float32)
    return np.ascontiguousarray(np.concatenate(answers, axis=1).reshape(n_inputs, n_channels).T)


def _usual_layout(layout: str, n_inputs: int) -> str:
    """The layout itself if it names its channels, else FFmpeg's usual one for their number (may not exist)."""
    named = all(channel.name not in ("NONE", "UNK", "") for channel in av.AudioLayout(layout).channels)
    return layout if named else f"{n_inputs}c"
