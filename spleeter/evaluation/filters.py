"""Least-squares distortion filters: the combination of delayed references that is closest to each estimate.

For one channel: Vincent, Gribonval and Févotte, "Performance measurement in blind audio source separation", IEEE
TASLP 14(4), 2006; for several: Vincent et al., "The signal separation evaluation campaign (2007-2010)", Signal
Processing 92(8), 2012. The filters are fitted to the whole signals, as in BSS Eval v4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spleeter.errors import EvaluationError

__all__ = ["distortion_filters", "gram_matrix", "lagged_products", "solve"]

_MIN_FFT_LENGTH = 1 << 13
"""Of the transforms for correlations: long compared to a filter, short compared to a song."""

_BATCH_BLOCKS = 16
"""Blocks that are transformed at a time, few enough for the processor's caches."""

_MIN_RIDGE = 16
"""The least that is added to the diagonal of a singular matrix, in units of the rounding of its largest element."""

_REFINEMENTS = 8
"""Steps of iterative refinement that undo that addition; three or four are enough for stems of 16 bits."""


def distortion_filters(references: Tensor, estimates: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The filters with which references are closest to estimates.

    Args:
        references: (stems, samples, channels).
        estimates: the same shape.
        length: length of the filters, in samples.

    Returns:
        Two float64 tensors (stems · channels, length, stems · channels): channel of a reference, its delay, channel
        of an estimate. The first approximates an estimate by its own reference alone, the second by all references.

    Raises:
        EvaluationError: if there are NaN or infinite samples.
    """
    n_stems, _, n_channels = references.shape
    n = n_stems * n_channels
    sources, targets = (signals.transpose(1, 2).flatten(0, 1) for signals in (references, estimates))
    products = lagged_products(sources, torch.cat([sources, targets]), length)
    if not products.isfinite().all():
        raise EvaluationError("the signals hold NaN or infinite samples")
    gram = gram_matrix(products[:, :n])
    cross = products[:, n:].transpose(1, 2).reshape(n * length, n)
    joint = solve(gram, cross).reshape(n, length, n)
    own = torch.zeros_like(joint)
    for first in range(0, n, n_channels):
        channels = slice(first, first + n_channels)
        rows = slice(first * length, (first + n_channels) * length)
        own[channels, :, channels] = solve(gram[rows, rows], cross[rows, channels]).reshape(n_channels, length, -1)
    return own, joint


def lagged_products(first: Tensor, second: Tensor, n_lags: int) -> Tensor:
    """Cross-correlations of signals for the lags from 0 on, in memory that does not grow with their length.

    Args:
        first: (a, samples).
        second: (b, samples).
        n_lags: number of lags, in samples.

    Returns:
        float64 (a, b, n_lags): the sum over n of first[n] · second[n + lag].
    """
    n_fft = max(_MIN_FFT_LENGTH, 1 << (4 * n_lags - 1).bit_length())
    length = n_fft - n_lags + 1  # a block and its lags fit into a transform: nothing wraps
    n_blocks = -(-first.shape[-1] // length)
    total = torch.zeros((n_fft // 2 + 1, len(first), len(second)), dtype=torch.complex128, device=first.device)
    for begin in range(0, n_blocks, _BATCH_BLOCKS):
        blocks = range(begin, min(begin + _BATCH_BLOCKS, n_blocks))
        now = _spectra(first, blocks, length, length, n_fft)
        later = _spectra(second, blocks, length, n_fft, n_fft)
        total += now.mH @ later  # (bins, a, b)
    products: Tensor = torch.fft.irfft(total, n_fft, dim=0)
    return products[:n_lags].permute(1, 2, 0)


def _spectra(signals: Tensor, blocks: range, hop: int, length: int, n_fft: int) -> Tensor:
    """Transforms of the `length` samples that begin at each of `blocks` times `hop`: (bins, blocks, signals)."""
    begin, end = blocks.start * hop, (blocks.stop - 1) * hop + length
    samples = signals[:, begin:end].to(torch.float64)
    padded = torch.nn.functional.pad(samples, (0, end - begin - samples.shape[-1]))
    spectra: Tensor = torch.fft.rfft(padded.unfold(-1, length, hop), n_fft)
    return spectra.permute(2, 1, 0).contiguous()


def gram_matrix(products: Tensor) -> Tensor:
    """Inner products of all delayed signals with each other.

    Args:
        products: (signals, signals, lags), the `lagged_products` of signals with themselves.

    Returns:
        (signals · lags, signals · lags): at (i · lags + a, j · lags + b) the product of signal i delayed by a and
        signal j delayed by b. It depends on b - a alone, so each block of two signals is a Toeplitz matrix.
    """
    n_signals, _, n_lags = products.shape
    # (signals, signals, 2 · lags - 1), for b - a = 1 - n_lags, ..., n_lags - 1
    by_lag = torch.cat([products.flip(-1)[..., :-1], products.transpose(0, 1)], -1)
    matrix = products.new_empty((n_signals, n_lags, n_signals, n_lags))
    for delay in range(n_lags):
        matrix[:, delay] = by_lag[..., n_lags - 1 - delay : 2 * n_lags - 1 - delay]
    return matrix.reshape(n_signals * n_lags, n_signals * n_lags)


def solve(gram: Tensor, products: Tensor) -> Tensor:
    """Solve gram · filters = products, by Cholesky factorisation.

    Machine epsilon is added to the diagonal, as in museval. Where the matrix is singular all the same, as with a stem
    whose channels are equal, many filters give the same result. One of them is found by adding as much as it takes to
    the diagonal, and refining the solution with the residual of the matrix itself (Riley, "Solving systems of linear
    equations with a positive definite, symmetric, but possibly ill-conditioned matrix", MTAC 9, 1955).

    Args:
        gram: (n, n), symmetric and positive semidefinite up to rounding.
        products: (n, estimates).

    Returns:
        (n, estimates).
    """
    epsilon = torch.finfo(gram.dtype).eps
    factor, is_singular = _factor(gram, epsilon)
    if not is_singular:
        return _substitute(factor, products)
    ridge = _MIN_RIDGE * epsilon * float(gram.diagonal().max())
    while is_singular:
        factor, is_singular = _factor(gram, ridge)
        ridge *= 4
    filters = torch.zeros_like(products)
    for _ in range(1 + _REFINEMENTS):
        filters += _substitute(factor, products - gram @ filters)
    return filters


def _substitute(factor: Tensor, products: Tensor) -> Tensor:
    """Solve factor · factor' · filters = products; `cholesky_solve` would copy the factor first."""
    forward = torch.linalg.solve_triangular(factor, products, upper=False)
    filters: Tensor = torch.linalg.solve_triangular(factor.mT, forward, upper=True)
    return filters


def _factor(gram: Tensor, ridge: float) -> tuple[Tensor, bool]:
    """The lower Cholesky factor of a matrix with `ridge` added to its diagonal, and whether it is singular."""
    matrix = gram.clone()
    matrix.diagonal().add_(ridge)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor, bool(failed)
