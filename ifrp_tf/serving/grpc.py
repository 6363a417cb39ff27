"""TensorFlow Serving's gRPC services: `PredictionService` and `ModelService`, and gRPC's own health check."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf import wrappers_pb2
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from ifrp_tf.serving.codec import read_tensors, write_tensor
from ifrp_tf.serving.service import Service
from ifrp_tf.serving.signature import Refusal, refusal

Answer = Callable[[Any, float | None], Awaitable[Any]]

_LARGE = 2**20
_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
_HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = 1, 2


def make_server(
    service: Service, *, max_message: int, options: Sequence[tuple[str, int | str]] = ()
) -> grpc.aio.Server:
    """A server that has no port yet; to be made inside the event loop that will run it.

    Args:
        service: answers.
        max_message: longest request, bytes.
        options: more gRPC channel arguments.

    Returns:
        An asynchronous server: a request that waits, or a client that hangs, holds no thread.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),  # a port that is taken must be an error
            ("grpc.max_receive_message_length", max_message),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 60_000),  # detects clients that are gone without closing
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            *options,
        ],
        maximum_concurrent_rpcs=4096,
    )
    server.add_generic_rpc_handlers((*_Servicer(service).handlers(), _health(service)))
    return server


class _Servicer:
    """The methods of both services. Requests come as bytes and are parsed here: bad ones get an answer."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """The handlers of both services, for a server."""
        offered = {
            _PREDICTION: {
                "Predict": self._handler("predict", predict_pb2.PredictRequest, self._predict),
                "GetModelMetadata": self._handler(
                    "metadata", get_model_metadata_pb2.GetModelMetadataRequest, self._metadata
                ),
                **{name: _refusing(name) for name in ("Classify", "Regress", "MultiInference")},
            },
            _MODEL: {
                "GetModelStatus": self._handler(
                    "status", get_model_status_pb2.GetModelStatusRequest, self._status
                ),
                "HandleReloadConfigRequest": _refusing("HandleReloadConfigRequest"),
            },
        }
        return [grpc.method_handlers_generic_handler(name, methods) for name, methods in offered.items()]

    def _handler(self, api: str, message: Any, work: Answer) -> grpc.RpcMethodHandler:
        async def answer(data: bytes, context: grpc.aio.ServicerContext) -> Any:
            started, status = time.monotonic(), "CANCELLED"
            try:
                response = await work(_parse(message, data), context.time_remaining())
                status = "OK"
                return response
            except asyncio.CancelledError:
                raise
            except Exception as error:
                reason = refusal(error)
                status = reason.code
                await context.abort(getattr(grpc.StatusCode, reason.code), reason.words)
            finally:
                self.service.count("GRPC", api, status, started)

        return grpc.unary_unary_rpc_method_handler(answer, None, _serialize)

    async def _predict(self, request: Any, timeout: float | None) -> Any:
        call = self.service.find(*_wanted(request), request.model_spec.signature_name)
        names = list(request.output_filter) or sorted(call.signature.outputs)
        unknown = [name for name in names if name not in call.signature.outputs]
        if unknown or len(set(names)) < len(names):
            raise Refusal(
                "INVALID_ARGUMENT",
                f"output_filter: expected some of {sorted(call.signature.outputs)}, each once. "
                f"Received: {names[:16]}.",
            )
        if request.ByteSize() > _LARGE:  # other requests go on meanwhile
            inputs = await asyncio.to_thread(read_tensors, request.inputs, call.signature)
        else:
            inputs = read_tensors(request.inputs, call.signature)
        outputs = await self.service.predict(call, inputs, timeout)
        response = predict_pb2.PredictResponse()
        spec = response.model_spec
        spec.name, spec.version.value = call.model.name, call.model.version
        spec.signature_name = call.signature.name
        for name in names:
            write_tensor(response.outputs[name], outputs[name])
        return response

    async def _metadata(self, request: Any, timeout: float | None) -> Any:
        response = self.service.metadata(*_wanted(request))
        if list(request.metadata_field) != ["signature_def"]:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"metadata_field: expected ['signature_def']. Received: {list(request.metadata_field)[:16]}.",
            )
        return response

    async def _status(self, request: Any, timeout: float | None) -> Any:
        return self.service.status(*_wanted(request))


def _parse(message: Any, data: bytes) -> Any:
    try:
        return message.FromString(data)
    except DecodeError as error:
        name = message.DESCRIPTOR.name
        raise Refusal("INVALID_ARGUMENT", f"Expected a {name}. Received: {error}.") from error


def _serialize(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def _refusing(method: str) -> grpc.RpcMethodHandler:
    async def answer(data: bytes, context: grpc.aio.ServicerContext) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not offered: use Predict.")

    return grpc.unary_unary_rpc_method_handler(answer)


def _wanted(request: Any) -> tuple[str, int | None, str]:
    spec = request.model_spec
    if not request.HasField("model_spec"):
        raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec.")
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label


def _health(service: Service) -> grpc.GenericRpcHandler:
    """`Check` of gRPC's health protocol, whose two messages look like a wrapped string and number."""

    async def check(request: Any, context: grpc.aio.ServicerContext) -> Any:
        known = ("", service.versions.name, _PREDICTION)
        if request.value not in known:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Expected one of {known}.")
        return wrappers_pb2.Int32Value(value=_SERVING if service.ready else _NOT_SERVING)

    handler = grpc.unary_unary_rpc_method_handler(
        check, wrappers_pb2.StringValue.FromString, wrappers_pb2.Int32Value.SerializeToString
    )
    return grpc.method_handlers_generic_handler(_HEALTH, {"Check": handler})
