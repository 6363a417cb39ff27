"""A served model without TensorFlow or Keras."""
