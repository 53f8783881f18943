"""The engine on torch tensors, as on CUDA and MPS, against the same engine on NumPy arrays.

Tensors on the CPU stand for those on a GPU: they show the values. Tensors on torch's device "meta", which have none,
show that no array is made on the host on the way, and none of a type that MPS lacks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spleeter.backends.base import Batching
from spleeter.backends.torch import TorchBackend
from spleeter.dsp.stft import chunk_length
from spleeter.dsp.tiling import Tiling
from spleeter.pipeline.engine import Chunk, ChunkStems, Engine
from spleeter.pipeline.options import PRESETS, Quality
from spleeter.pipeline.stream import Pipeline
from tests.pipeline.test_stream import LENGTH, SEGMENT, STEP, TILINGS, T, TinyNetwork, backend, configuration, noise


class TensorDevice:
    """A device whose arrays are tensors, as those of a GPU are."""

    kind, batching = "cuda", Batching(hops=2, segments=3)

    def put(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).clone()

    def fetch(self, arrays: Sequence[Tensor]) -> list[Callable[[], np.ndarray]]:
        return [tensor.numpy for tensor in arrays]


def tensor_backend(network: nn.Module | None = None) -> TorchBackend:
    return TorchBackend(network or TinyNetwork(3), TensorDevice())


def stems(pipeline: Pipeline, song: np.ndarray) -> np.ndarray:
    """Stems (stems, samples, channels) of a song (channels, samples)."""
    return np.concatenate([block.fetch() for block in pipeline.separate([song.T])], axis=1)


def snr(got: np.ndarray, expected: np.ndarray) -> float:
    """Decibels."""
    error = np.sum(np.square(np.subtract(got, expected, dtype=np.float64)))
    return float(10 * np.log10(np.sum(np.square(expected, dtype=np.float64)) / error))


QUALITIES = [*PRESETS.values(), Quality(mwf=True), Quality(0.5, 3), Quality(0.0, 2, mwf=True)]


@pytest.mark.parametrize("extension", ["average", "zeros"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("quality", QUALITIES, ids=str)
def test_tensors_are_separated_as_arrays_are(quality: Quality, exact: bool, extension: str) -> None:
    keys, tiling = configuration(mask_extension=extension), Tiling.of(T, quality.overlap, quality.shifts)
    song = noise(9 * SEGMENT + 123)
    song[:, SEGMENT : 4 * SEGMENT] = 0  # chunks of silence are not computed
    by_kind = [Pipeline(keys, each, quality.mwf, tiling, exact) for each in (tensor_backend(), backend())]
    got, expected = (stems(pipeline, song) for pipeline in by_kind)
    assert got.dtype == np.float32
    assert got.shape == expected.shape == (3, song.shape[-1], 2)
    assert snr(got, expected) > 100


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_other_than_two_channels_are_separated_as_arrays_are(n_channels: int, mwf: bool) -> None:
    class PerChannel(nn.Module):
        def forward(self, magnitudes: Tensor) -> Tensor:
            return torch.stack([magnitudes * magnitudes.sigmoid(), magnitudes * 0.3])

    keys = configuration(n_channels=n_channels, instrument_list=["vocals", "accompaniment"])
    song = np.random.default_rng(3).standard_normal((n_channels, 3 * SEGMENT), np.float32)
    by_kind = [Pipeline(keys, kind(PerChannel()), mwf) for kind in (tensor_backend, backend)]
    assert snr(*(stems(pipeline, song) for pipeline in by_kind)) > 100


def waveforms(tiling: Tiling, n_channels: int = 2) -> list[tuple[int, np.ndarray]]:
    """Hops and waveforms of chunks of three songs, one of them silent."""
    songs = []
    for seed, n_hops in enumerate([1, 5, 2]):
        n_samples = chunk_length(n_hops * tiling.hop + tiling.n_ahead, LENGTH, STEP)
        songs.append((n_hops, np.resize(noise(n_samples, seed), (n_channels, n_samples))))
    songs[2][1][:] = 0
    return songs


def separate_twice(engine: Engine, songs: Sequence[tuple[int, np.ndarray]]) -> Iterator[ChunkStems]:
    """The stems of all songs' chunks in one batch, and once more of the same chunks with the carries of the first."""
    carries = [engine.empty_carry() for _ in songs]
    for _ in range(2):
        chunks = [Chunk(waveform, carry, n, 2) for (n, waveform), carry in zip(songs, carries, strict=True)]
        separated = engine(chunks)
        carries = [stems.carry for stems in separated]
        yield from separated


@pytest.mark.parametrize("tiling", TILINGS, ids=repr)
@pytest.mark.parametrize("mwf", [False, True])
def test_songs_in_one_batch_are_separated_as_arrays_are(tiling: Tiling, mwf: bool) -> None:
    tensors, arrays = (
        separate_twice(Engine(configuration(), each, tiling, mwf), waveforms(tiling))
        for each in (tensor_backend(), backend())
    )
    for got, expected in zip(tensors, arrays, strict=True):
        np.testing.assert_allclose(got.fetch(), expected.fetch(), rtol=0, atol=1e-5)
        np.testing.assert_allclose(got.carry.samples, expected.carry.samples, rtol=0, atol=1e-5)
        np.testing.assert_allclose(got.carry.estimates, expected.carry.estimates, rtol=0, atol=1e-5)


class MetaDevice(TensorDevice):
    """Tensors with shapes and types alone; to combine one with a tensor on the host is an error."""

    def put(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to("meta")

    def fetch(self, arrays: Sequence[Tensor]) -> list[Callable[[], Any]]:
        return [lambda tensor=tensor: tensor for tensor in arrays]  # type: ignore[misc]


class MetaBackend:
    name, n_threads, device = "meta", 1, MetaDevice()

    def estimate(self, magnitudes: Tensor) -> Tensor:
        return torch.stack([magnitudes] * 3)


class TypesOnDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The types of all tensors that are made on "meta" within this context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        leaves = tree_leaves(made)
        self.types |= {leaf.dtype for leaf in leaves if isinstance(leaf, Tensor) and leaf.device.type == "meta"}
        return made


@pytest.mark.parametrize("extension", ["average", "zeros"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("quality", PRESETS.values(), ids=PRESETS)
def test_everything_is_made_on_the_device_in_single_precision(
    quality: Quality, n_channels: int, exact: bool, extension: str
) -> None:
    keys = configuration(n_channels=n_channels, mask_extension=extension)
    tiling = Tiling.of(T, quality.overlap, quality.shifts)
    with TypesOnDevice() as made:
        engine = Engine(keys, MetaBackend(), tiling, quality.mwf, exact)
        for stems in separate_twice(engine, waveforms(tiling, n_channels)):
            tensors: list[Any] = [stems.fetch(), stems.carry.samples, stems.carry.estimates]
            assert {(tensor.device.type, tensor.dtype) for tensor in tensors} == {("meta", torch.float32)}
    assert torch.complex64 in made.types
    assert not made.types & {torch.float64, torch.complex128}


def test_tensors_are_computed_in_the_engines_thread_alone() -> None:
    """A GPU gains nothing from more, and MPS is not made for them."""
    tiling, before = Tiling.of(T, 0.5, 2), set(threading.enumerate())
    engine = Engine(configuration(), tensor_backend(), tiling, mwf=True)
    assert len(list(separate_twice(engine, waveforms(tiling)))) == 6
    assert set(threading.enumerate()) <= before
