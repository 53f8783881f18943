"""`spleeter.utils.estimator` of the original 1.x: TensorFlow's estimators."""

from spleeter.compatibility import retired

__all__ = ["create_estimator", "to_predictor"]

create_estimator, to_predictor = retired(__name__, *__all__, instead="separate with spleeter.Separator")
