"""The multichannel Wiener filter: stems refined by their spatial covariances.

A. Nugraha, A. Liutkus, E. Vincent: "Multichannel audio source separation with deep neural networks", IEEE/ACM
TASLP 24.9 (2016), in the simplified form of S. Uhlich et al., ICASSP 2017: each source is Gaussian with a power
v_j(t, f) and a spatial covariance R_j(f), both estimated from its masked mixture; then the mixture is filtered by
W_j = v_j R_j (Σ_k v_k R_k)^-1. That is one step of expectation-maximisation, which is what the original takes too.

The covariances are means over time, so an excerpt may be given in blocks of consecutive frames: `second_moments` of
each, one `spatial_model` of all, and `wiener_filter` on each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeAlias

import numpy as np

from spleeter.dsp.namespace import array_namespace
from spleeter.types import Array

__all__ = ["Moments", "SpatialModel", "second_moments", "soft_masks", "spatial_model", "wiener_filter"]

_EPSILON = float(np.finfo(np.float32).eps)

_SMALLEST = float(np.finfo(np.float32).tiny) ** 0.5
"""A power whose square does not underflow."""

_DIAGONAL_LOADING = 1e-3
"""The fraction of a bin's power that is added to the diagonal. Where both channels are the same the matrices are
singular but for this; a thousandth leaves four of float32's seven digits."""


def soft_masks(magnitudes: Array) -> Array:
    """The filter's first estimate of each stem's share, as norbert's: v_i / (ε + Σ_j v_j).

    Unlike ratio masks they are all 0 in a bin where every estimate is.

    Args:
        magnitudes: (stems, ...), not negative.
    """
    xp = array_namespace(magnitudes)
    total = xp.sum(magnitudes, axis=0)
    total += _EPSILON
    return magnitudes / total


@dataclass(frozen=True)
class Moments:
    """Second moments of a block of frames.

    Attributes:
        stems: of the masked mixture between channels, summed over frames: (stems, channels, channels, bins), complex.
        peak: the largest power of a bin of the mixture, ().
    """

    stems: Array
    peak: Array


@dataclass(frozen=True)
class SpatialModel:
    """The spatial covariances of the stems, and how the filter is regularized.

    Attributes:
        covariances: R (stems, channels, channels, bins), complex, Hermitian.
        floor: the power, (), that is added to the mixture's covariance; None adds a share of each bin's own power.
    """

    covariances: Array
    floor: Array | None


def second_moments(masks: Array, mixture: Array) -> Moments:
    """Second moments of the masked mixture.

    Args:
        masks: (stems, channels, frames, bins).
        mixture: its STFT (channels, frames, bins), complex.
    """
    xp = array_namespace(masks)
    stems, channels, _, bins = masks.shape
    moments = xp.empty((stems, channels, channels, bins), dtype=mixture.dtype, device=mixture.device)
    real, imag = _planes(mixture)
    peaks = []
    for c, d in combinations_with_replacement(range(channels), 2):
        cross_real = real[c, ...] * real[d, ...]  # of x_c conj(x_d), (frames, bins)
        cross_real += imag[c, ...] * imag[d, ...]
        shared = masks[:, c, ...] * masks[:, d, ...]  # (stems, frames, bins)
        xp.real(moments)[:, c, d, :] = xp.sum(shared * cross_real, axis=1)
        if c == d:
            xp.imag(moments)[:, c, d, :] = 0
            peaks.append(xp.max(cross_real))
            continue
        cross_imag = imag[c, ...] * real[d, ...]
        cross_imag -= real[c, ...] * imag[d, ...]
        xp.imag(moments)[:, c, d, :] = xp.sum(shared * cross_imag, axis=1)
        moments[:, d, c, :] = xp.conj(moments[:, c, d, :])
    return Moments(moments, xp.max(xp.stack(peaks)))


def spatial_model(blocks: Sequence[Moments], as_norbert: bool) -> SpatialModel:
    """Estimate the spatial covariances from the moments of all blocks of an excerpt.

    Args:
        blocks: of consecutive frames.
        as_norbert: regularize as norbert does, by one power for all bins, 55 dB below the loudest bin: what is softer
            is then taken from every stem. Otherwise by each bin's own power, and the stems keep it.
    """
    xp = array_namespace(blocks[0].stems)
    moments = xp.sum(xp.stack([block.stems for block in blocks]), axis=0)
    channels = moments.shape[1]
    power = sum(xp.real(moments[:, c, c, :]) for c in range(channels)) / channels  # (stems, bins), of all frames
    if not as_norbert:
        return SpatialModel(moments / xp.clip(power, min=_SMALLEST)[:, None, None, :], None)
    peak = xp.sqrt(xp.max(xp.stack([block.peak for block in blocks])))
    unit = xp.clip(peak / 10, min=1.0) ** 2  # norbert scales the mixture down by sqrt(unit)
    return SpatialModel(moments / (_EPSILON * unit + power)[:, None, None, :], _EPSILON**0.5 * unit)


def wiener_filter(masks: Array, mixture: Array, model: SpatialModel, n_stems: int) -> Array:
    """Filter a mixture into stems.

    Args:
        masks: (stems, channels, frames, bins), which the stems' powers are estimated with.
        mixture: its STFT (channels, frames, bins), complex.
        model: of an excerpt that these frames belong to.
        n_stems: how many of the stems are returned, from the first on.

    Returns:
        (n_stems, channels, frames, bins), complex.
    """
    filtered = _filter_stereo if mixture.shape[0] == 2 else _filter
    return filtered(masks, mixture, model, n_stems)


_Planes: TypeAlias = tuple[Array, Array]
"""The real and imaginary parts of complex values, contiguous: sums and products of them are vectorised."""


def _planes(values: Array) -> _Planes:
    xp = array_namespace(values)
    return xp.asarray(xp.real(values), copy=True), xp.asarray(xp.imag(values), copy=True)


def _stem_powers(masks: Array, real: Array, imag: Array) -> Array:
    """v (stems, frames, bins): the mean over the channels of the masked mixture's power."""
    xp = array_namespace(masks)
    power = real * real
    power += imag * imag
    powers = masks * masks
    powers *= power
    return xp.mean(powers, axis=1)


def _floor(power: Array, model: SpatialModel) -> Array:
    """What is added to the diagonal of matrices of a power (frames, bins), so that they can be inverted."""
    xp = array_namespace(power)
    return xp.clip(power * _DIAGONAL_LOADING, min=_SMALLEST) if model.floor is None else model.floor


def _filter(masks: Array, mixture: Array, model: SpatialModel, n_stems: int) -> Array:
    """The filter for any number of channels."""
    xp = array_namespace(masks)
    v = xp.astype(_stem_powers(masks, *_planes(mixture)), mixture.dtype)
    covariances = xp.permute_dims(model.covariances, (0, 3, 1, 2))  # (stems, bins, channels, channels)
    total = xp.sum(v[..., None, None] * covariances[:, None, ...], axis=0)  # (frames, bins, channels, channels)
    eye = xp.eye(mixture.shape[0], dtype=mixture.dtype, device=mixture.device)
    power = xp.sum(xp.real(xp.linalg.diagonal(total)), axis=-1)
    floor = xp.zeros_like(power) + _floor(power, model)
    total = total + xp.astype(floor, mixture.dtype)[..., None, None] * eye
    x = xp.permute_dims(mixture, (1, 2, 0))[..., None]  # (frames, bins, channels, 1)
    solved = xp.linalg.solve(total, x)
    stems = v[:n_stems, ..., None] * xp.matmul(covariances[:n_stems, None, ...], solved)[..., 0]
    return xp.permute_dims(stems, (0, 3, 1, 2))


def _filter_stereo(masks: Array, mixture: Array, model: SpatialModel, n_stems: int) -> Array:
    """The same for two channels, in real arithmetic with the matrices written out, which is far faster."""
    xp = array_namespace(masks)
    real, imag = _planes(mixture)
    v = _stem_powers(masks, real, imag)
    matrices = _hermitian(model.covariances)
    ll, rr, lr_re, lr_im = _mixture_covariance(v, matrices)
    floor = _floor(ll + rr, model)
    ll += floor
    rr += floor
    solved = _solve((ll, rr, lr_re, lr_im), (real[0, ...], imag[0, ...], real[1, ...], imag[1, ...]))
    stems = xp.empty((n_stems, *mixture.shape), dtype=mixture.dtype, device=mixture.device)
    re, im = xp.real(stems), xp.imag(stems)  # views of it
    for j in range(n_stems):
        l_re, l_im, r_re, r_im = _multiply(matrices[j], solved)
        re[j, 0, ...], im[j, 0, ...] = l_re * v[j, ...], l_im * v[j, ...]
        re[j, 1, ...], im[j, 1, ...] = r_re * v[j, ...], r_im * v[j, ...]
    return stems


_Vector: TypeAlias = tuple[Array, Array, Array, Array]
"""Complex left and right: l_re, l_im, r_re, r_im."""

_Matrix: TypeAlias = tuple[Array, Array, Array, Array]
"""A Hermitian 2 × 2 matrix (ll, lr; conj(lr), rr): ll, rr, lr_re, lr_im."""


def _hermitian(covariances: Array) -> list[_Matrix]:
    """Matrices (stems, 2, 2, bins), as four times (bins,) of each stem."""
    real, imag = _planes(covariances)
    return [
        (real[j, 0, 0, :], real[j, 1, 1, :], real[j, 0, 1, :], imag[j, 0, 1, :]) for j in range(covariances.shape[0])
    ]


def _mixture_covariance(v: Array, matrices: Sequence[_Matrix]) -> _Matrix:
    """Σ_j v_j R_j, as four times (frames, bins)."""
    ll, rr, lr_re, lr_im = (part * v[0, ...] for part in matrices[0])
    for j, matrix in enumerate(matrices[1:], start=1):
        ll += matrix[0] * v[j, ...]
        rr += matrix[1] * v[j, ...]
        lr_re += matrix[2] * v[j, ...]
        lr_im += matrix[3] * v[j, ...]
    return ll, rr, lr_re, lr_im


def _solve(matrix: _Matrix, x: _Vector) -> _Vector:
    """matrix^-1 x, by Cramer's rule."""
    ll, rr, lr_re, lr_im = matrix
    determinant = ll * rr
    determinant -= lr_re * lr_re
    determinant -= lr_im * lr_im
    factor = 1 / determinant
    l_re, l_im, r_re, r_im = _multiply((rr, ll, -lr_re, -lr_im), x)  # by the adjugate
    return l_re * factor, l_im * factor, r_re * factor, r_im * factor


def _multiply(matrix: _Matrix, x: _Vector) -> _Vector:
    """matrix x."""
    ll, rr, lr_re, lr_im = matrix
    l_re, l_im, r_re, r_im = x
    return (
        ll * l_re + lr_re * r_re - lr_im * r_im,
        ll * l_im + lr_re * r_im + lr_im * r_re,
        rr * r_re + lr_re * l_re + lr_im * l_im,
        rr * r_im + lr_re * l_im - lr_im * l_re,
    )
