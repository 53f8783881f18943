"""Networks that estimate stem magnitudes from magnitudes, and their weights.

functions/    builders of the networks (torch)     checkpoint.py   a model folder <-> weights as arrays
rules/        the rules for their configurations   tensorflow/     checkpoints of the original package
                                                   provider/       model folders: found, or downloaded
"""

from spleeter.utils.retired import retired

__all__ = ["EstimatorSpecBuilder", "InputProviderFactory", "get_model_function", "model_fn"]

EstimatorSpecBuilder, InputProviderFactory, get_model_function, model_fn = retired(
    __name__, *__all__, instead="spleeter.Separator separates, spleeter.model.functions.build builds networks"
)
