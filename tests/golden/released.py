"""A synthetic signal, and what the original package makes of it with its released 2stems model.

The recording is kept in the repository, so this is run again only to change it. It needs the environment that
record.py describes, and the released model, which the original downloads (or finds in the folder that MODEL_PATH
names). From an empty folder:

    original/bin/python tests/golden/released.py

It writes released.npz beside this file, the same bytes each time. It holds float32 arrays (stems, samples, channels),
of which every 37th sample is kept, so that 5 s of stems are small: 37 is prime, so in all frames together every
position in a frame is met. The stems are vocals and accompaniment; the arrays are

    2stems            what Separator("spleeter:2stems").separate gave for signal()
    2stems-16kHz      the same for "spleeter:2stems-16kHz"
    2stems-mwf        the same for "spleeter:2stems" with the multichannel Wiener filter

They were recorded from Spleeter 2.4.2 with TensorFlow 2.12.1 on a CPU.
"""

# mypy: ignore-errors
# The package that is called spleeter here is the original.

from pathlib import Path

import numpy as np

RECORDING = Path(__file__).resolve().with_name("released.npz")
CASES = {
    "2stems": ("spleeter:2stems", False),
    "2stems-16kHz": ("spleeter:2stems-16kHz", False),
    "2stems-mwf": ("spleeter:2stems", True),
}
"""Name -> the configuration, and whether the Wiener filter is used."""

EVERY = 37
SAMPLE_RATE = 44100
N_SAMPLES = 5 * SAMPLE_RATE - 123


def signal():
    """A voice over a band, float32 (samples, 2), in steps of 16 bits; by formulas alone, and the same everywhere.

    The voice is a sequence of tones with vibrato, whose harmonics follow the formants of an "ah", in the middle, with
    another echo on each side: where both channels are the same, norbert's matrices are singular but for their
    regularization, and the original's own rounding in float32 leaves 85 dB of the exact stem. The band is chords of
    three plucked tones, and bursts of noise that fade.
    """
    t = np.arange(N_SAMPLES) / SAMPLE_RATE  # seconds
    voice, chords = np.zeros(N_SAMPLES), np.zeros((N_SAMPLES, 2))
    for start, end, pitch in ((0.3, 1.1, 220.0), (1.2, 1.9, 277.2), (2.0, 3.1, 329.6), (3.4, 4.6, 246.9)):
        inside = (t >= start) & (t < end)
        since = t[inside] - start
        phase = 2 * np.pi * pitch * since - 0.03 * pitch / 5.5 * np.cos(2 * np.pi * 5.5 * since)
        fade = np.minimum(1, np.minimum(since, end - start - since) / 0.05)
        for harmonic in range(1, 24):
            frequency = harmonic * pitch
            formants = sum(
                gain / (1 + ((frequency - formant) / width) ** 2)
                for formant, width, gain in ((730, 90, 1.0), (1090, 110, 0.7), (2440, 160, 0.35), (3400, 250, 0.2))
            )
            voice[inside] += 0.1 * fade * (formants + 0.02) * np.sin(harmonic * phase)
    for beat in range(10):
        since = np.maximum(t - 0.5 * beat, 0)
        root = (110.0, 130.8, 98.0, 146.8)[beat // 3]
        for number, ratio in enumerate((1, 1.25, 1.5)):
            pluck = 0.15 * np.exp(-4 * since) * np.sin(2 * np.pi * root * ratio * since)
            chords += pluck[:, None] * [1 - 0.3 * number, 0.4 + 0.3 * number]
    raw = np.random.PCG64(2024).random_raw(2 * N_SAMPLES)  # the bits are fixed; NumPy's distributions may change
    noise = (raw >> np.uint64(11)).astype(np.float64).reshape(-1, 2) / 2**52 - 1
    bursts = noise * (0.4 * np.exp(-30 * (t % 0.25)) * (0.4 + 0.6 * (t % 0.5 >= 0.25)))[:, None]
    echoes = np.stack([np.roll(voice, 331), np.roll(voice, 487)], axis=1)  # 7.5 and 11 ms; it ends before the signal
    mixture = voice[:, None] + 0.3 * echoes + chords + bursts
    return (np.round(2**15 * mixture) / 2**15).astype(np.float32)


def main():
    import os

    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2", TF_ENABLE_ONEDNN_OPTS="0")
    from spleeter.separator import Separator

    recorded = {}
    for name, (descriptor, mwf) in CASES.items():
        stems = Separator(descriptor, MWF=mwf, multiprocess=False).separate(signal(), "")
        recorded[name] = np.stack([stems[stem][::EVERY] for stem in ("vocals", "accompaniment")])
        print(name, recorded[name].shape, recorded[name].dtype, recorded[name].std(axis=(1, 2)))
    np.savez_compressed(RECORDING, **recorded)


if __name__ == "__main__":
    main()
