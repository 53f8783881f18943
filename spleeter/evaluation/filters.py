"""Least-squares distortion filters: what, made of delayed references, comes nearest to each estimate.

For one channel: Vincent, Gribonval and Févotte, "Performance measurement in blind audio source separation", IEEE
TASLP 14(4), 2006; for several: Vincent et al., "The signal separation evaluation campaign (2007-2010)", Signal
Processing 92(8), 2012. The filters are those of the whole signals, as in BSS Eval v4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spleeter.errors import EvaluationError

_FFT_LENGTH = 1 << 13
"""Points of the transforms that correlations are made of: long beside a filter, short beside a song."""

_BLOCKS_AT_ONCE = 16
"""Blocks whose spectra are held at a time, so few that they stay near the caches."""

_RIDGE = 16
"""The least that is added to the diagonal of a singular matrix, in units of the rounding of its greatest element."""

_REFINEMENTS = 8
"""Steps that take that addition out of the solution again; three or four are enough for stems of 16 bits."""


def distortion_filters(references: Tensor, estimates: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The filters that bring references nearest to estimates.

    Args:
        references: (stems, samples, channels).
        estimates: the same shape.
        length: of the filters, in samples.

    Returns:
        Two float64 tensors (stems · channels, length, stems · channels): from each channel of a reference, its delay,
        to each channel of an estimate. With the first, an estimate is made of its own reference alone; with the
        second, of all references.

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
    """Inner products of signals with later parts of signals, in memory that does not grow with their length.

    Args:
        first: (a, samples).
        second: (b, samples).
        n_lags: how many lags, from 0 on, in samples.

    Returns:
        float64 (a, b, n_lags): the sum over n of first[n] · second[n + lag].
    """
    n_fft = max(_FFT_LENGTH, 1 << (4 * n_lags - 1).bit_length())
    length = n_fft - n_lags + 1  # a block and its lags fit into a transform: nothing wraps around
    n_blocks = -(-first.shape[-1] // length)
    total = torch.zeros((n_fft // 2 + 1, len(first), len(second)), dtype=torch.complex128, device=first.device)
    for begin in range(0, n_blocks, _BLOCKS_AT_ONCE):
        blocks = range(begin, min(begin + _BLOCKS_AT_ONCE, n_blocks))
        now = _spectra(first, blocks, length, length, n_fft)
        later = _spectra(second, blocks, length, n_fft, n_fft)
        total += now.mH @ later  # (bins, a, b)
    products: Tensor = torch.fft.irfft(total, n_fft, dim=0)
    return products[:n_lags].permute(1, 2, 0)


def _spectra(signals: Tensor, blocks: range, hop: int, length: int, n_fft: int) -> Tensor:
    """Transforms of the `length` samples that begin at each of `blocks` times `hop`: (bins, blocks, signals)."""
    begin, end = blocks.start * hop, (blocks.stop - 1) * hop + length
    part = signals[:, begin:end].to(torch.float64)
    padded = torch.nn.functional.pad(part, (0, end - begin - part.shape[-1]))
    spectra: Tensor = torch.fft.rfft(padded.unfold(-1, length, hop), n_fft)
    return spectra.permute(2, 1, 0).contiguous()


def gram_matrix(products: Tensor) -> Tensor:
    """Inner products of all delayed signals with each other.

    Args:
        products: (signals, signals, lags), the `lagged_products` of signals with themselves.

    Returns:
        (signals · lags, signals · lags): at (i · lags + a, j · lags + b) that of signal i delayed by a and signal j
        delayed by b. It depends on b - a alone, so each block of two signals is a Toeplitz matrix.
    """
    n_signals, _, n_lags = products.shape
    by_lag = torch.cat([products.flip(-1)[..., :-1], products.transpose(0, 1)], -1)  # b - a from 1 - n_lags on
    matrix = products.new_empty((n_signals, n_lags, n_signals, n_lags))
    for delay in range(n_lags):
        matrix[:, delay] = by_lag[..., n_lags - 1 - delay : 2 * n_lags - 1 - delay]
    return matrix.reshape(n_signals * n_lags, n_signals * n_lags)


def solve(gram: Tensor, products: Tensor) -> Tensor:
    """Solve gram · filters = products.

    museval adds the machine's epsilon to the diagonal, and so does this. Where the matrix is singular all the same,
    as with a stem that is the same in both channels, many filters do the same to the references. One of them is found
    by adding as much as it takes, and refining what comes out against the matrix itself (Riley, "Solving systems of
    linear equations with a positive definite, symmetric, but possibly ill-conditioned matrix", MTAC 9, 1955).

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
    ridge = _RIDGE * epsilon * float(gram.diagonal().max())
    while is_singular:
        factor, is_singular = _factor(gram, ridge)
        ridge *= 4
    filters = torch.zeros_like(products)
    for _ in range(1 + _REFINEMENTS):
        filters += _substitute(factor, products - gram @ filters)
    return filters


def _substitute(factor: Tensor, products: Tensor) -> Tensor:
    """Solve factor · factor' · filters = products; `cholesky_solve` would copy the factor first."""
    halfway = torch.linalg.solve_triangular(factor, products, upper=False)
    filters: Tensor = torch.linalg.solve_triangular(factor.mT, halfway, upper=True)
    return filters


def _factor(gram: Tensor, ridge: float) -> tuple[Tensor, bool]:
    """The Cholesky factor of a matrix with `ridge` added to its diagonal, and whether there is none."""
    matrix = gram.clone()
    matrix.diagonal().add_(ridge)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    return factor, bool(failed)
