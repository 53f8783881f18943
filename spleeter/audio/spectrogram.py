"""`spleeter.audio.spectrogram` of the original: spectrograms as tensors of TensorFlow. See `spleeter.dsp.stft`."""

from spleeter.compatibility import retired

__all__ = ["compute_spectrogram_tf", "pitch_shift", "random_pitch_shift", "random_time_stretch", "time_stretch"]

compute_spectrogram_tf, pitch_shift, random_pitch_shift, random_time_stretch, time_stretch = retired(
    __name__, *__all__, instead="spleeter.dsp.stft computes spectra of arrays"
)
