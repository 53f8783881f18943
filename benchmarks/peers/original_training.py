"""Time steps of training of the original package, full-size 2 stems.

    PEERS/original/bin/python benchmarks/peers/original_training.py --batch 2 --steps 3

Runs in an environment of its own: see the README beside. Prints one line of JSON. Spectrograms are variables, so that
no time is spent on data.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version

import measuring  # type: ignore[import-not-found] # it lies beside, and this is no package

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Time it and print the result."""
    arguments = measuring.training_parser(__doc__).parse_args()
    tensorflow = importlib.import_module("tensorflow")
    # By name, as this project's own package is called the same.
    parameters = importlib.import_module("spleeter.utils.configuration").load_configuration("spleeter:2stems")
    tf = tensorflow.compat.v1
    names = [parameters["mix_name"], *parameters["instrument_list"]]
    with tensorflow.Graph().as_default():
        tf.train.get_or_create_global_step()
        shape = arguments.batch, parameters["T"], parameters["F"], parameters["n_channels"]
        inputs = {f"{name}_spectrogram": tf.get_variable(name, shape, trainable=False) for name in names}
        features, labels = {name: inputs[name] for name in list(inputs)[:1]}, dict(list(inputs.items())[1:])
        model = importlib.import_module("spleeter.model").model_fn(features, labels, "train", parameters)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            measuring.report_steps(
                arguments,
                lambda: session.run(model.train_op),
                name=f"Spleeter {version('spleeter')}",
                framework=f"TensorFlow {tensorflow.__version__}",
            )


if __name__ == "__main__":
    main()
