"""Records the golden cases: what the original package makes of a short synthetic signal with small random networks.

The cases are kept in the repository, so this is run again only to change them. It needs a virtual environment of its
own, with Python 3.8 to 3.11 and the original package, which brings TensorFlow 2.12; nothing of this repository:

    python3.11 -m venv original
    original/bin/pip install spleeter==2.4.2
    original/bin/python tests/golden/record.py

Beside this file it writes, the same bytes each time,

    signal.npy        float32 (samples, channels), what is separated
    magnitudes.npy    float32 (batch, channels, T, F), what the networks alone are given, up to their own T and F
    CASE/             the configuration, the checkpoint as TensorFlow writes it, with random batch-norm statistics
                      too, and expected.npz with the float32 arrays
                          stems            (stems, samples, channels), what Separator.separate gave for signal.npy
                          stems_mwf        the same with the multichannel Wiener filter (in one case)
                          stem_magnitudes  (stems, batch, channels, T, F), what the networks gave for magnitudes.npy

The stems are in the order of `instrument_list`. The last frames do not fill a segment.

The original builds `blstm` of CuDNNLSTM layers, which run on a GPU only, but whose variables can be made and saved
anywhere. So the checkpoint is written by the original's own graph, and the outputs are computed by the same graph
with each CuDNNLSTM replaced by Keras's LSTM. That is the same function: its gates come in the same order, input,
forget, cell, output; it has one bias for each gate where cuDNN adds up two; and its recurrent activation is set to
the logistic sigmoid.
"""

# mypy: ignore-errors
# The package that is called spleeter here is the original.

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2", TF_ENABLE_ONEDNN_OPTS="0")

import numpy as np
import tensorflow as tf

import spleeter.model.functions.blstm as original_blstm
from spleeter.model import EstimatorSpecBuilder
from spleeter.separator import Separator

v1 = tf.compat.v1
HERE = Path(__file__).resolve().parent

N_SAMPLES = 4000
SAMPLE_RATE = 8000
COMMON = {
    "mix_name": "mix",
    "model_dir": ".",
    "sample_rate": SAMPLE_RATE,
    "frame_length": 256,
    "frame_step": 64,
    "T": 64,
    "F": 64,
    "n_channels": 2,
    "separation_exponent": 2,
    "mask_extension": "zeros",
}
CASES = {
    "unet-2stems": {
        "instrument_list": ["vocals", "accompaniment"],
        "F": 128,
        "model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 3, 4, 4, 5, 6]}},
    },
    "unet-4stems-elu": {
        "instrument_list": ["vocals", "drums", "bass", "other"],
        "model": {
            "type": "unet.unet",
            "params": {
                "conv_n_filters": [2, 2, 3, 3, 3, 4],
                "conv_activation": "ELU",
                "deconv_activation": "ELU",
            },
        },
    },
    "softmax-unet-2stems-average": {
        "instrument_list": ["vocals", "accompaniment"],
        "separation_exponent": 1,
        "mask_extension": "average",
        "model": {
            "type": "unet.softmax_unet",
            "params": {
                "conv_n_filters": [2, 2, 3, 3, 4, 4],
                "conv_activation": "ReLU",
                "deconv_activation": "LeakyReLU",
            },
        },
    },
    "blstm-2stems": {
        "instrument_list": ["vocals", "accompaniment"],
        "T": 16,
        "F": 40,
        "model": {"type": "blstm.blstm", "params": {"lstm_units": 3}},
    },
}
CASE_WITH_MWF = "unet-2stems"


def main():
    np.save(HERE / "signal.npy", signal())
    np.save(HERE / "magnitudes.npy", magnitudes())
    for seed, (name, specifics) in enumerate(CASES.items()):
        params = {**COMMON, **specifics}
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(params, indent=2) + "\n")
        weights = write_checkpoint(params, folder, np.random.RandomState(seed))
        with tempfile.TemporaryDirectory() as scratch:
            expected = run(params, weights, Path(scratch), with_mwf=name == CASE_WITH_MWF)
        np.savez_compressed(folder / "expected.npz", **expected)
        print(name, {key: (array.shape, float(array.std())) for key, array in expected.items()})


def signal():
    """Sliding tones on both sides, bursts of noise, clicks, and a silence."""
    random = np.random.RandomState(1)
    t = np.arange(N_SAMPLES) / SAMPLE_RATE  # seconds
    left = 0.3 * np.sin(2 * np.pi * (220 * t + 400 * t**2)) + 0.1 * np.sin(2 * np.pi * 1760 * t)
    right = 0.2 * np.sin(2 * np.pi * 330 * t) + 0.15 * np.sin(2 * np.pi * (3000 * t - 1500 * t**2))
    stereo = np.stack([left, right], axis=1)
    bursts = (np.sin(2 * np.pi * 7 * t) > 0.6)[:, None] * random.uniform(-0.3, 0.3, (N_SAMPLES, 2))
    stereo += bursts
    stereo[::977] += [0.5, -0.4]
    stereo[1500:1800] = 0
    return stereo.astype(np.float32)


def magnitudes():
    """Noise that gets weaker towards high frequencies, louder and softer frames, and some silent bins."""
    random = np.random.RandomState(2)
    spectrum = 20 * np.exp(-np.arange(128) / 16) + 0.05
    loudness = 1 + np.sin(np.arange(64) / 5)[:, None]
    noise = random.exponential(size=(1, 2, 64, 128)) * spectrum * loudness
    noise[:, :, 40:44, 10:20] = 0
    return noise.astype(np.float32)


def write_checkpoint(params, folder, random):
    """Build the original's graph, give its variables random values, and save them as the original would."""
    # By default, a session looks for a kernel for every node of the graph, and on a CPU there is none for CuDNNLSTM.
    options = v1.ConfigProto(graph_options=v1.GraphOptions(place_pruned_graph=True))
    with tf.Graph().as_default(), v1.Session(config=options) as session:
        v1.train.get_or_create_global_step()
        build_network(params)
        weights = set_random(session, random)
        saver = v1.train.Saver(save_relative_paths=True)
        saver.save(session, str(folder / "model"), write_meta_graph=False)
    return weights


def build_network(params):
    """The original's network: its input, (batch, T, F, channels), and one output for each instrument."""
    mix = v1.placeholder(tf.float32, (None, params["T"], params["F"], params["n_channels"]))
    builder = EstimatorSpecBuilder({f"{params['mix_name']}_spectrogram": mix}, params)
    return mix, [builder.model_outputs[f"{name}_spectrogram"] for name in params["instrument_list"]]


def set_random(session, random):
    values = []
    for variable in v1.global_variables():
        value = random_value(variable, random)
        variable.load(value, session)
        values.append((variable.op.name, value))
    return values


def random_value(variable, random):
    """Values of such sizes that signals neither die out nor saturate, and that no two layers share."""
    kind, shape = variable.op.name.rpartition("/")[2], variable.shape.as_list()
    if kind == "global_step":
        return np.int64(1234)
    if kind in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if kind in ("kernel", "recurrent_kernel"):
        n_inputs = np.prod(shape[:-2]) * shape[-1] if "transpose" in variable.op.name else np.prod(shape[:-1])
        return random.normal(0, 1.5 / np.sqrt(n_inputs), shape).astype(np.float32)
    return random.normal(0, 0.3, shape).astype(np.float32)


def run(params, weights, scratch, with_mwf):
    """What the original gives for the signal and the magnitudes, with a runnable copy of the checkpoint."""
    if params["model"]["type"] == "blstm.blstm":
        original_blstm.CuDNNLSTM = keras_lstm
        weights = with_single_biases(weights)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.train.get_or_create_global_step()
        mix, outputs = build_network(params)
        for variable, (_, value) in zip(v1.global_variables(), weights):  # noqa: B905 - for Python 3.8
            variable.load(value, session)
        batch = magnitudes()[:, :, : params["T"], : params["F"]]
        stems = session.run(outputs, {mix: batch.transpose(0, 2, 3, 1)})
        v1.train.Saver(save_relative_paths=True).save(session, str(scratch / "model"))
    expected = {"stem_magnitudes": np.stack(stems).transpose(0, 1, 4, 2, 3)}
    expected["stems"] = separate(params, scratch, mwf=False)
    if with_mwf:
        expected["stems_mwf"] = separate(params, scratch, mwf=True)
    return expected


def keras_lstm(units, kernel_initializer, return_sequences):
    """What stands in for CuDNNLSTM; its default activation is tanh, as cuDNN's is."""
    return v1.keras.layers.LSTM(
        units,
        recurrent_activation="sigmoid",
        kernel_initializer=kernel_initializer,
        return_sequences=return_sequences,
    )


def with_single_biases(weights):
    """cuDNN's biases, those of the inputs and those of the recurrence, added up."""
    added = []
    for name, value in weights:
        if name.endswith("bias") and "cu_dnnlstm" in name:
            value = value[: len(value) // 2] + value[len(value) // 2 :]
        added.append((name, value))
    return added


def separate(params, model_dir, mwf):
    (model_dir / ".probe").write_text("OK")  # so that the original does not download anything
    descriptor = model_dir / "config.json"
    descriptor.write_text(json.dumps({**params, "model_dir": str(model_dir)}))
    separator = Separator(str(descriptor), MWF=mwf, multiprocess=False)
    stems = separator.separate(signal(), "")
    return np.stack([stems[name] for name in params["instrument_list"]])


if __name__ == "__main__":
    main()
