"""Time the source separation of sherpa-onnx with the same 2stems model as ONNX files.

    PEERS/sherpa/bin/python benchmarks/peers/sherpa.py SONG.wav --models PEERS/onnx --runs 3 --threads 2

Runs in an environment of its own: see the README beside; export_onnx.py makes the models. Prints one line of JSON.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import measuring  # type: ignore[import-not-found] # it lies beside, and this is no package

STEMS = ("vocals", "accompaniment")


def load(sherpa_onnx: Any, models: Path, n_threads: int) -> Any:
    """Load the models of a folder, one file a stem."""
    files = {stem: str(models / f"{stem}.onnx") for stem in STEMS}
    config = sherpa_onnx.OfflineSourceSeparationConfig(
        model=sherpa_onnx.OfflineSourceSeparationModelConfig(
            spleeter=sherpa_onnx.OfflineSourceSeparationSpleeterModelConfig(**files),
            num_threads=n_threads,
            provider="cpu",
        )
    )
    if not config.validate():
        raise SystemExit(f"sherpa-onnx refuses the models in {models}")
    return sherpa_onnx.OfflineSourceSeparation(config)


def main() -> None:
    """Time it and print the result."""
    parser = measuring.parser(__doc__)
    parser.add_argument(
        "--models", type=Path, required=True, help="the folder with vocals.onnx and accompaniment.onnx"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    numpy, sherpa_onnx = importlib.import_module("numpy"), importlib.import_module("sherpa_onnx")
    engine = load(sherpa_onnx, arguments.models, arguments.threads)

    def separate(waveform: Any) -> Mapping[str, Any]:
        result = engine.process(measuring.SAMPLE_RATE, numpy.ascontiguousarray(waveform.T))
        return {name: numpy.asarray(stem.data).T for name, stem in zip(STEMS, result.stems, strict=True)}

    measuring.report(
        arguments,
        separate,
        name=f"sherpa-onnx {version('sherpa-onnx')}",
        version=version("sherpa-onnx"),
        framework=f"onnxruntime {sherpa_onnx.onnxruntime_version}",
    )


if __name__ == "__main__":
    main()
