"""The multichannel Wiener filter: stems refined by what their channels have in common.

A. Nugraha, A. Liutkus, E. Vincent: "Multichannel audio source separation with deep neural networks", IEEE/ACM
TASLP 24.9 (2016), in the simplified form of S. Uhlich et al., ICASSP 2017: each source is Gaussian with a power
v_j(t, f) and a spatial covariance R_j(f), both estimated from its masked mixture; then the mixture is filtered by
W_j = v_j R_j (Σ_k v_k R_k)^-1. That is one step of expectation-maximisation, which is what the original takes too.

The covariances are means over time, so an excerpt may be given in parts of consecutive frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeAlias

import torch
from torch import Tensor

_EPSILON = torch.finfo(torch.float32).eps

_SMALLEST = torch.finfo(torch.float32).tiny ** 0.5
"""A power whose square is not yet zero."""

_OWN_SHARE = 1e-3
"""Of a bin's power. Where both channels are the same the matrices are singular but for this; a thousandth leaves
four of float32's seven digits."""


def soft_masks(magnitudes: Tensor) -> Tensor:
    """What the filter begins with, as norbert does: v_i / (ε + Σ_j v_j), for magnitudes (stems, ...).

    Unlike ratio masks it gives a bin to no stem if none is estimated to sound in it.
    """
    return magnitudes / magnitudes.sum(dim=0).add_(_EPSILON)


@dataclass(frozen=True)
class SpatialModel:
    """How each stem lies among the channels.

    Attributes:
        covariances: R (stems, channels, channels, bins), complex, Hermitian.
        floor: the power, (), that is added to the mixture's covariance; None adds a share of each bin's own power.
    """

    covariances: Tensor
    floor: Tensor | None


def spatial_model(masks: Sequence[Tensor], mixtures: Sequence[Tensor], as_norbert: bool) -> SpatialModel:
    """Estimate the spatial covariances from parts of an excerpt.

    Args:
        masks: of each part (stems, channels, frames, bins).
        mixtures: of each part its STFT (channels, frames, bins), complex.
        as_norbert: regularize as norbert does, by one power for all bins, 55 dB below the loudest bin: what is softer
            is then taken from every stem. Otherwise by each bin's own power, and the stems keep it.
    """
    parts = zip(masks, mixtures, strict=True)
    moments = torch.stack([_moments(mask, mixture) for mask, mixture in parts]).sum(dim=0)
    power = moments.diagonal(dim1=1, dim2=2).real.mean(dim=-1)  # (stems, bins), of all frames
    if not as_norbert:
        return SpatialModel(moments / power.clamp(min=_SMALLEST)[:, None, None], None)
    peak = torch.stack([_power(mixture).max() for mixture in mixtures]).max().sqrt()
    unit = (peak / 10).clamp(min=1.0).square()  # norbert turns the mixture down by its root
    return SpatialModel(moments / (_EPSILON * unit + power)[:, None, None], _EPSILON**0.5 * unit)


def wiener_filter(masks: Tensor, mixture: Tensor, model: SpatialModel, out: Tensor) -> None:
    """Filter a mixture into stems.

    Args:
        masks: (stems, channels, frames, bins), what the stems' powers are estimated with.
        mixture: its STFT (channels, frames, bins), complex.
        model: of an excerpt that these frames belong to.
        out: where the first stems are written, as many as it has room for: (stems, channels, frames, bins), complex.
    """
    filtered = _filtered_stereo if len(mixture) == 2 else _filtered
    filtered(masks, mixture, model, out)


def _power(spectra: Tensor) -> Tensor:
    """|z|²"""
    return spectra.real.square().addcmul_(spectra.imag, spectra.imag)


def _moments(masks: Tensor, mixture: Tensor) -> Tensor:
    """The masked mixture's second moments between channels, summed over frames: (stems, channels, channels, bins)."""
    stems, channels, _, bins = masks.shape
    moments = mixture.new_empty((stems, channels, channels, bins))
    for c, d in combinations_with_replacement(range(channels), 2):
        shared = masks[:, c] * masks[:, d]  # (stems, frames, bins)
        moment = torch.complex(*((shared * part).sum(dim=1) for part in _cross(mixture[c], mixture[d])))
        moments[:, c, d] = moment
        moments[:, d, c] = moment.conj()
    return moments


def _cross(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of x conj(y)."""
    return (
        (x.real * y.real).addcmul_(x.imag, y.imag),
        (x.imag * y.real).addcmul_(x.real, y.imag, value=-1),
    )


def _powers(masks: Tensor, mixture: Tensor) -> Tensor:
    """v (stems, frames, bins): the mean over the channels of the masked mixture's power."""
    power = masks.square().mul_(_power(mixture))
    return power.sum(dim=1).div_(len(mixture))


def _floor(power: Tensor, model: SpatialModel) -> Tensor:
    """What is added to the diagonal of matrices of so much power (frames, bins), so that they can be inverted."""
    if model.floor is not None:
        return model.floor.expand(power.shape)
    return (_OWN_SHARE * power).clamp_(min=_SMALLEST)


def _filtered(masks: Tensor, mixture: Tensor, model: SpatialModel, out: Tensor) -> None:
    """The filter for any number of channels."""
    v = _powers(masks, mixture).to(mixture.dtype)
    total = torch.einsum("stf,scdf->tfcd", v, model.covariances)
    floor = _floor(total.diagonal(dim1=-2, dim2=-1).real.sum(dim=-1), model)
    total = total + floor[..., None, None] * torch.eye(len(mixture), device=mixture.device)
    whitened = torch.linalg.solve(total, mixture.permute(1, 2, 0))  # (frames, bins, channels)
    n_stems = len(out)
    out.copy_(torch.einsum("stf,scdf,tfd->sctf", v[:n_stems], model.covariances[:n_stems], whitened))


_Vector: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Complex left and right: l_re, l_im, r_re, r_im."""

_Matrix: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""A Hermitian 2 × 2 matrix (ll, lr; conj(lr), rr): ll, rr, lr_re, lr_im."""


def _filtered_stereo(masks: Tensor, mixture: Tensor, model: SpatialModel, out: Tensor) -> None:
    """The same for two channels, in real numbers and with the matrices written out, which is far faster."""
    v = _powers(masks, mixture)
    matrices = _hermitian(model.covariances)
    ll, rr, lr_re, lr_im = ((part[:, None] * v).sum(dim=0) for part in matrices)  # Σ v R
    floor = _floor(ll + rr, model)
    whitened = _solved((ll.add_(floor), rr.add_(floor), lr_re, lr_im), mixture)
    for v_j, stem, *matrix in zip(v, torch.view_as_real(out), *matrices):  # noqa: B905 - maybe not all of the stems
        l_re, l_im, r_re, r_im = _applied((matrix[0], matrix[1], matrix[2], matrix[3]), whitened)
        torch.mul(l_re, v_j, out=stem[0, ..., 0])
        torch.mul(l_im, v_j, out=stem[0, ..., 1])
        torch.mul(r_re, v_j, out=stem[1, ..., 0])
        torch.mul(r_im, v_j, out=stem[1, ..., 1])


def _hermitian(covariances: Tensor) -> _Matrix:
    """Matrices (stems, 2, 2, bins), as four times (stems, bins)."""
    across = covariances[:, 0, 1]
    parts = covariances[:, 0, 0].real, covariances[:, 1, 1].real, across.real, across.imag
    ll, rr, lr_re, lr_im = (part.contiguous() for part in parts)
    return ll, rr, lr_re, lr_im


def _solved(matrix: _Matrix, mixture: Tensor) -> _Vector:
    """matrix^-1 mixture, by Cramer's rule. Uses the matrix up."""
    ll, rr, lr_re, lr_im = matrix
    factor = (ll * rr).addcmul_(lr_re, lr_re, value=-1).addcmul_(lr_im, lr_im, value=-1).reciprocal_()
    adjugate = rr, ll, lr_re.neg_(), lr_im.neg_()
    (l_re, r_re), (l_im, r_im) = mixture.real.contiguous(), mixture.imag.contiguous()
    l_re, l_im, r_re, r_im = (part.mul_(factor) for part in _applied(adjugate, (l_re, l_im, r_re, r_im)))
    return l_re, l_im, r_re, r_im


def _applied(matrix: _Matrix, x: _Vector) -> _Vector:
    """The product of a matrix and a vector."""
    ll, rr, lr_re, lr_im = matrix
    l_re, l_im, r_re, r_im = x
    return (
        (ll * l_re).addcmul_(lr_re, r_re).addcmul_(lr_im, r_im, value=-1),
        (ll * l_im).addcmul_(lr_re, r_im).addcmul_(lr_im, r_re),
        (rr * r_re).addcmul_(lr_re, l_re).addcmul_(lr_im, l_im),
        (rr * r_im).addcmul_(lr_re, l_im).addcmul_(lr_im, l_re, value=-1),
    )
