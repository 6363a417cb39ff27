"""A model server over gRPC, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from ifrp_tf.client.wire import (
    GET_MODEL_METADATA,
    GET_MODEL_STATUS,
    MAX_MESSAGE,
    MAX_PICTURE,
    PICTURE,
    PIXELS,
    PREDICT,
    STATES,
    TOLD,
    ModelInfo,
    RemoteError,
    bad_answer,
    float_tensor,
    message,
    model_info,
    plain_list,
    read_certificates,
    read_metadata,
    refusal,
    uint8_array,
    uint8_tensor,
)

_OPTIONS = (
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
        credentials = None
        if tls is not False:
            roots = None if tls is True else read_certificates(tls)
            credentials = grpc.ssl_channel_credentials(root_certificates=roots)
        # Two channels, which connect when they are asked: only whole pictures may be long.
        self._channels = [_channel(address, credentials, most) for most in (MAX_MESSAGE, MAX_PICTURE)]
        self._predict, self._picture = (_method(one, PREDICT, "PredictResponse") for one in self._channels)
        self._get_metadata = _method(self._channels[0], GET_MODEL_METADATA, "GetModelMetadataResponse")
        self._get_status = _method(self._channels[0], GET_MODEL_STATUS, "GetModelStatusResponse")

    def predict(
        self,
        portraits: np.ndarray,
        version: int | None,
        timeout: float,
        attributes: np.ndarray | None = None,
    ) -> np.ndarray:
        """See `Transport`."""
        signature, given, wanted = PIXELS
        inputs = {given: uint8_tensor(portraits)}
        if attributes is not None:
            signature, given, told, wanted = TOLD
            inputs[told] = float_tensor(attributes)
        answer = self._ask(self._predict, signature, inputs, [wanted], version, timeout)
        if wanted not in answer.outputs:
            raise bad_answer(f"an output {wanted!r}", f"{sorted(answer.outputs)}")
        return uint8_array(answer.outputs[wanted], portraits.shape)

    def picture(
        self, data: bytes, options: bytes, version: int | None, timeout: float
    ) -> dict[str, list[Any]]:
        """See `Transport`."""
        signature, *names = PICTURE
        inputs = {
            name: message("tensorflow.TensorProto")(dtype=7, string_val=[value])
            for name, value in zip(names, (data, options), strict=True)
        }
        answer = self._ask(self._picture, signature, inputs, [], version, timeout)
        return {name: plain_list(tensor) for name, tensor in answer.outputs.items()}

    def metadata(self, version: int | None, timeout: float) -> ModelInfo:
        """See `Transport`."""
        request = message(f"{_PREFIX}.GetModelMetadataRequest")(metadata_field=["signature_def"])
        self._specify(request.model_spec, version)
        answer = self._call(self._get_metadata, request, timeout)
        found = message(f"{_PREFIX}.SignatureDefMap")()
        try:
            found.ParseFromString(answer.metadata["signature_def"].value)
        except DecodeError as error:
            raise bad_answer("signatures", "bytes that are none") from error
        signatures = MessageToDict(
            found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        read = {"signature_def": {"signature_def": {}} | signatures}
        spec = {"version": answer.model_spec.version.value}
        return model_info(self.model, *read_metadata({"model_spec": spec, "metadata": read}), PIXELS)

    def status(self, timeout: float) -> dict[int, str]:
        """See `Transport`."""
        request = message(f"{_PREFIX}.GetModelStatusRequest")()
        self._specify(request.model_spec, None)
        answer = self._call(self._get_status, request, timeout)
        return {one.version: STATES.get(one.state, "UNKNOWN") for one in answer.model_version_status}

    def close(self) -> None:
        """Closes the channels; calls under way fail."""
        for channel in self._channels:
            channel.close()

    def _ask(
        self,
        method: Any,
        signature: str,
        inputs: dict[str, Any],
        wanted: list[str],
        version: int | None,
        timeout: float,
    ) -> Any:
        request = message(f"{_PREFIX}.PredictRequest")(output_filter=wanted)
        self._specify(request.model_spec, version)
        request.model_spec.signature_name = signature
        for name, tensor in inputs.items():
            request.inputs[name].CopyFrom(tensor)
        return self._call(method, request, timeout)

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


def _channel(address: str, credentials: grpc.ChannelCredentials | None, most: int) -> grpc.Channel:
    limits = [(f"grpc.max_{way}_message_length", most) for way in ("receive", "send")]
    if credentials is None:
        return grpc.insecure_channel(address, options=[*_OPTIONS, *limits])
    return grpc.secure_channel(address, credentials, options=[*_OPTIONS, *limits])


def _method(channel: grpc.Channel, path: str, answer: str) -> Any:
    read: Callable[[bytes], Any] = message(f"{_PREFIX}.{answer}").FromString
    return channel.unary_unary(
        path, request_serializer=lambda request: request.SerializeToString(), response_deserializer=read
    )
