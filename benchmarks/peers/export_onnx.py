"""Write the released 2stems model as two ONNX files, in the form that sherpa-onnx reads.

    MODEL_PATH=PEERS/pretrained_models PYTHONPATH=PEERS/export python benchmarks/peers/export_onnx.py PEERS/onnx

Runs in this project's environment, with onnx, onnxscript and onnxruntime beside it: see the README there. Each file
is one stem's U-Net alone, from `x` to `y`, both magnitudes (channels, splits, 512, 1024) with any number of splits.
Each is compared with the network it was made from before the script succeeds.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spleeter.backends.torch.weights import load_network
from spleeter.configuration import Configuration
from spleeter.model.functions import build
from spleeter.model.provider import ModelProvider

LEAST_SNR = 100.0
OPSET = 18


class OneStem(nn.Module):
    """A network of a single stem, with the axes that sherpa-onnx has.

    Args:
        network: (batch, channels, T, F) -> (1, batch, channels, T, F).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Magnitudes (channels, splits, T, F) -> stem magnitudes of the same shape."""
        y: Tensor = self.network(x.transpose(0, 1))[0]
        return y.transpose(0, 1)


def alone(network: nn.Module, configuration: Configuration, index: int) -> OneStem:
    """Build one stem's network with its share of the weights, so that nothing of the others is exported."""
    stem = configuration.instrument_list[index]
    single = build(Configuration.load({**configuration.to_dict(), "instrument_list": [stem]}))
    own = f"networks.{index}."
    weights = {key.replace(own, "networks.0."): w for key, w in network.state_dict().items() if key.startswith(own)}
    single.load_state_dict(weights)
    return OneStem(single).eval()


def example(configuration: Configuration, n_splits: int) -> Tensor:
    """Draw magnitudes that fall with the frequency, as those of music do."""
    shape = (configuration.n_channels, n_splits, configuration.T, configuration.F)
    slope = 100 / torch.arange(1, configuration.F + 1)
    return slope * torch.randn(shape, generator=torch.Generator().manual_seed(0)).abs()


def export(model: OneStem, x: Tensor, path: Path) -> None:
    """Write the file, with the metadata that sherpa-onnx asks for."""
    torch.onnx.export(
        model,
        (x,),
        path,
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes={"x": {1: torch.export.Dim("num_splits", min=1)}},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    onnx: Any = importlib.import_module("onnx")
    file = onnx.load(path)
    onnx.helper.set_model_props(
        file, {"model_type": "spleeter", "stems": "2", "sample_rate": "44100", "version": "1"}
    )
    onnx.save(file, path)


def snr(path: Path, x: Tensor, expected: Tensor) -> float:
    """Run the file and compare: dB of what is expected over the difference."""
    session = importlib.import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": x.numpy()})
    noise = (torch.from_numpy(y).double() - expected).square().sum()
    return float(10 * torch.log10(expected.double().square().sum() / noise))


def main() -> None:
    """Export every stem and check it, with another number of splits than it was exported with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output_folder", type=Path)
    folder: Path = parser.parse_args().output_folder
    folder.mkdir(parents=True, exist_ok=True)
    configuration = Configuration.load("spleeter:2stems")
    network = load_network(Path(ModelProvider.default().get(configuration.model_dir)), configuration)
    x = example(configuration, n_splits=3)
    with torch.no_grad():
        expected = network(x.transpose(0, 1)).transpose(1, 2)
        for index, stem in enumerate(configuration.instrument_list):
            path = folder / f"{stem}.onnx"
            export(alone(network, configuration, index), example(configuration, n_splits=2), path)
            agreement = snr(path, x, expected[index])
            print(f"{path}: {agreement:.0f} dB")
            if not agreement > LEAST_SNR:
                raise SystemExit(f"{path} does not agree with the network")


if __name__ == "__main__":
    main()
