"""A model server over gRPC, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from ifrp_tf.client.wire import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    MAX_MESSAGE,
    PIXELS,
    PREDICT,
    STATES,
    ModelInfo,
    RemoteError,
    bad_answer,
    dtype_name,
    message,
    model_info,
    read_certificates,
    refusal,
    uint8_array,
    uint8_tensor,
)

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.enable_retries", 0),  # the client has its own, with a deadline over all of them
    ("grpc.initial_reconnect_backoff_ms", 100),  # else a retry within the first second fails unheard
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_http_proxy", 0),
)
_PREFIX = "tensorflow.serving"


class GrpcTransport:
    """A channel to `HOST:PORT`; may be used from several threads.

    Args:
        address: of the server.
        model: under which name it serves the model.
        tls: False for plain text; True for TLS; a path for TLS with the certificates in that PEM file.

    Example:
        >>> GrpcTransport("localhost:8500", "ifrp").metadata(None, 5.0).side  # doctest: +SKIP
        128
    """

    def __init__(self, address: str, model: str, tls: bool | str | Path = False) -> None:
        self.address, self.model = address, model
        if tls is False:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        else:
            roots = None if tls is True else read_certificates(tls)
            credentials = grpc.ssl_channel_credentials(root_certificates=roots)
            self._channel = grpc.secure_channel(address, credentials, options=_OPTIONS)
        self._predict = self._method(PREDICT, "PredictResponse")
        self._get_metadata = self._method(GET_MODEL_METADATA, "GetModelMetadataResponse")
        self._get_status = self._method(GET_MODEL_STATUS, "GetModelStatusResponse")

    def predict(self, portraits: np.ndarray, version: int | None, timeout: float) -> np.ndarray:
        """Recovered faces.

        Args:
            portraits: uint8 [N, side, side, 3], few enough for `MAX_MESSAGE`.
            version: of the model; None for the one that the server chooses.
            timeout: seconds.

        Raises:
            RemoteError: there is no usable answer.
        """
        signature, given, wanted = PIXELS
        request = message(f"{_PREFIX}.PredictRequest")(output_filter=[wanted])
        self._specify(request.model_spec, version)
        request.model_spec.signature_name = signature
        request.inputs[given].CopyFrom(uint8_tensor(portraits))
        answer = self._call(self._predict, request, timeout)
        if wanted not in answer.outputs:
            raise bad_answer(f"an output {wanted!r}", f"{sorted(answer.outputs)}")
        return uint8_array(answer.outputs[wanted], portraits.shape)

    def metadata(self, version: int | None, timeout: float) -> ModelInfo:
        """What the model says of itself.

        Args:
            version: of the model; None for the one that the server chooses.
            timeout: seconds.

        Raises:
            RemoteError: there is no such model, or it is not one of this package.
        """
        request = message(f"{_PREFIX}.GetModelMetadataRequest")(metadata_field=["signature_def"])
        self._specify(request.model_spec, version)
        answer = self._call(self._get_metadata, request, timeout)
        found = message(f"{_PREFIX}.SignatureDefMap")()
        try:
            found.ParseFromString(answer.metadata["signature_def"].value)
        except DecodeError as error:
            raise bad_answer("signatures", "bytes that are none") from error
        signatures = {
            name: {"inputs": _tensors(one.inputs), "outputs": _tensors(one.outputs)}
            for name, one in found.signature_def.items()
        }
        return model_info(self.model, answer.model_spec.version.value, signatures, PIXELS)

    def status(self, timeout: float) -> dict[int, str]:
        """The state of every version of the model, such as `{1: "AVAILABLE"}`.

        Args:
            timeout: seconds.

        Raises:
            RemoteError: there is no such model.
        """
        request = message(f"{_PREFIX}.GetModelStatusRequest")()
        self._specify(request.model_spec, None)
        answer = self._call(self._get_status, request, timeout)
        return {one.version: STATES.get(one.state, "UNKNOWN") for one in answer.model_version_status}

    def close(self) -> None:
        """Closes the channel; calls under way fail."""
        self._channel.close()

    def _method(self, path: str, answer: str) -> Any:
        read: Callable[[bytes], Any] = message(f"{_PREFIX}.{answer}").FromString
        return self._channel.unary_unary(
            path, request_serializer=lambda request: request.SerializeToString(), response_deserializer=read
        )

    def _specify(self, spec: Any, version: int | None) -> None:
        spec.name = self.model
        if version is not None:
            spec.version.value = version

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, " ".join((error.details() or "").split())
            raise refusal(self.address, code, details) from error
        except ValueError as error:  # a closed channel
            raise RemoteError("CANCELLED", f"The client to {self.address} is closed: {error}") from error


def _tensors(infos: Any) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {name: (dtype_name(info.dtype), _shape(info.tensor_shape)) for name, info in infos.items()}


def _shape(shape: Any) -> tuple[int, ...] | None:
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
