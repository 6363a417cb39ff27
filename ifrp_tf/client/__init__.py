"""A served model without TensorFlow or Keras: `Client`, what it raises and what it learns about the model."""

from ifrp_tf.client.client import Client, ModelInfo, RemoteError, RemoteFace, RemotePicture

__all__ = ["Client", "ModelInfo", "RemoteError", "RemoteFace", "RemotePicture"]
