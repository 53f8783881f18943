"""The multichannel Wiener filter: stems refined by what their channels have in common.

A. Nugraha, A. Liutkus, E. Vincent: "Multichannel audio source separation with deep neural networks", IEEE/ACM
TASLP 24.9 (2016), in the simplified form of S. Uhlich et al., ICASSP 2017: each source is Gaussian with a power
v_j(t, f) and a spatial covariance R_j(f), both re-estimated from the current estimates; then the mixture is
filtered by W_j = v_j R_j (Σ_k v_k R_k)^-1.
"""

import torch
from torch import Tensor

_BINS_AT_A_TIME = 256  # the bins are independent of each other: this bounds the memory, not the result


def wiener_filter(magnitudes: Tensor, mixture: Tensor, iterations: int = 1) -> Tensor:
    """Filter a mixture into stems by expectation-maximisation, from estimates of their magnitudes.

    The spatial covariances are taken over all the frames given, so the result depends on how long an excerpt is.

    Args:
        magnitudes: (stems, channels, frames, bins), not negative.
        mixture: the mixture's STFT (channels, frames, bins), complex.
        iterations: of the EM algorithm.

    Returns:
        The stems' STFTs (stems, channels, frames, bins), complex.
    """
    scale = (mixture.abs().max() / 10).clamp(min=1.0)  # keeps the regularization small beside the signal
    stems = torch.empty(magnitudes.shape, dtype=mixture.dtype, device=mixture.device)
    for first in range(0, mixture.shape[-1], _BINS_AT_A_TIME):
        band = slice(first, first + _BINS_AT_A_TIME)
        estimates = _soft_masked(magnitudes[..., band], mixture[..., band]) / scale
        for _ in range(iterations):
            estimates = _refined(estimates, mixture[..., band] / scale)
        stems[..., band] = estimates * scale
    return stems


def _soft_masked(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """Share out the mixture in proportion to the magnitudes: the EM's first estimate."""
    epsilon = torch.finfo(magnitudes.dtype).eps
    return magnitudes / (epsilon + magnitudes.sum(dim=0)) * mixture


def _refined(estimates: Tensor, mixture: Tensor) -> Tensor:
    """One iteration: the Gaussian model of the estimates (stems, channels, frames, bins), then its filter."""
    epsilon = torch.finfo(mixture.real.dtype).eps
    power = estimates.abs().square().mean(dim=1)  # (stems, frames, bins)
    spatial = torch.einsum("sctf,sdtf->scdf", estimates, estimates.conj())
    spatial = spatial / (epsilon + power.sum(dim=1))[:, None, None]  # (stems, channels, channels, bins)
    total = torch.einsum("stf,scdf->tfcd", power.to(spatial.dtype), spatial)
    total = total + epsilon**0.5 * torch.eye(len(mixture), device=mixture.device)
    whitened = _solve(total, mixture.permute(1, 2, 0))  # (frames, bins, channels)
    return torch.einsum("stf,scdf,tfd->sctf", power.to(spatial.dtype), spatial, whitened)


def _solve(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve M y = x for (..., channels, channels) and (..., channels); two channels by Cramer's rule."""
    if vectors.shape[-1] != 2:
        solved: Tensor = torch.linalg.solve(matrices, vectors)
        return solved
    (a, b), (c, d) = (row.unbind(-1) for row in matrices.unbind(-2))
    x, y = vectors.unbind(-1)
    return torch.stack([d * x - b * y, a * y - c * x], dim=-1) / (a * d - b * c).unsqueeze(-1)
