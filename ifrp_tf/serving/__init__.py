"""TensorFlow Serving's protocols in one process."""
