"""`spleeter.dataset` of the original: TensorFlow's data sets. Their place is taken by `spleeter.data`."""

from spleeter.utils.retired import retired

__all__ = ["DatasetBuilder", "InstrumentDatasetBuilder", "get_training_dataset", "get_validation_dataset"]

DatasetBuilder, InstrumentDatasetBuilder, get_training_dataset, get_validation_dataset = retired(
    __name__, *__all__, instead="`spleeter train` reads the lists of songs itself"
)
