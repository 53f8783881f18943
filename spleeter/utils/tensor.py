"""`spleeter.utils.tensor` of the original: functions of TensorFlow's tensors."""

from spleeter.utils.retired import retired

__all__ = [
    "check_tensor_shape",
    "dataset_from_csv",
    "from_float32_to_uint8",
    "from_uint8_to_float32",
    "pad_and_partition",
    "pad_and_reshape",
    "set_tensor_shape",
    "sync_apply",
]

(
    check_tensor_shape,
    dataset_from_csv,
    from_float32_to_uint8,
    from_uint8_to_float32,
    pad_and_partition,
    pad_and_reshape,
    set_tensor_shape,
    sync_apply,
) = retired(__name__, *__all__, instead="separate with spleeter.Separator, which takes and gives NumPy arrays")
