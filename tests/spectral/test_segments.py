"""Partition and join undo each other."""

import torch

from spleeter.spectral.segments import join, partition


def test_join_undoes_partition() -> None:
    spectra = torch.randn(2, 12, 5)
    assert torch.equal(join(partition(spectra, 4)), spectra)


def test_segments_follow_in_time_and_keep_their_channels() -> None:
    frames = torch.arange(12.0)
    spectra = torch.stack([frames, -frames])[..., None].expand(2, 12, 3)
    segments = partition(spectra, 4)
    assert segments.shape == (3, 2, 4, 3)
    assert segments[1, 0, :, 0].tolist() == [4, 5, 6, 7]
    assert segments[2, 1, :, 2].tolist() == [-8, -9, -10, -11]


def test_join_keeps_axes_in_front() -> None:
    spectra = torch.randn(3, 2, 8, 5)
    segments = torch.stack([partition(stem, 4) for stem in spectra])
    assert torch.equal(join(segments), spectra)
