"""Makes ``three.tflite``, the model of the tests here. Run ``python make_model.py`` with the package tensorflow.

Its graph has three operators: a square, an absolute value, and a sum over an axis.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


class Three(tf.Module):
    """Three operators that the converter does not merge."""

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="image")])
    def run(self, image: tf.Tensor) -> tf.Tensor:
        """Return the sum of the absolute values of the squares."""
        return tf.reduce_sum(tf.abs(tf.square(image)), axis=1)


if __name__ == "__main__":
    model = Three()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([model.run.get_concrete_function()], model)
    (Path(__file__).parent / "three.tflite").write_bytes(converter.convert())
