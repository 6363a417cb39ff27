"""TensorFlow Serving's REST API: predict, metadata and status, and beside it metrics and a health check."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from google.protobuf import json_format

from ifrp_tf import serving_json, serving_metrics
from ifrp_tf.serving_grpc import metadata, model_status
from ifrp_tf.serving_http import Request, Response
from ifrp_tf.serving_service import Service
from ifrp_tf.serving_status import Refusal, refusal

METRICS_PATH = "/monitoring/prometheus/metrics"
HEALTH_PATH = "/healthz"

_MODEL = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?"
    r"(?::(predict|classify|regress)|/(metadata))?"
)
_LARGE = 32 * 1024


class Rest:
    """Answers HTTP requests.

    Args:
        service: of the model.
        timeout: seconds that a prediction may take, the time in the queue included.
        metrics_path: where the metrics are; empty = nowhere.
    """

    def __init__(self, service: Service, *, timeout: float = 30.0, metrics_path: str = METRICS_PATH) -> None:
        self._service, self._timeout, self._metrics_path = service, timeout, metrics_path

    async def answer(self, request: Request) -> Response:
        """The answer to a request; an error is one too.

        Args:
            request: any.
        """
        if request.path == HEALTH_PATH:
            ready = self._service.ready
            return Response(200 if ready else 503, b"ok\n" if ready else b"not ready\n", "text/plain")
        if self._metrics_path and request.path == self._metrics_path:
            text = self._service.metrics.text()
            return Response(200, text.encode(), serving_metrics.CONTENT_TYPE)
        started, status, api = time.monotonic(), "CANCELLED", "other"
        try:
            found = _MODEL.fullmatch(request.path)
            if not found:
                raise Refusal(
                    "NOT_FOUND",
                    f"Malformed request: {request.method[:10]} {request.path[:100]}.",
                    hint=f"Try GET /v1/models/{self._service.versions.name}.",
                )
            name, version, label, verb, told = found.groups()
            api = verb or told or "status"
            wanted = name, int(version) if version else None, label or ""
            response = await self._model(request, api, *wanted)
            status = "OK" if response.status == 200 else "INVALID_ARGUMENT"
            return response
        except asyncio.CancelledError:
            raise
        except Exception as error:
            reason = refusal(error)
            status = reason.code
            return complain(reason.http, reason.words)
        finally:
            self._service.count("REST", api, status, started)

    async def _model(
        self, request: Request, api: str, name: str, version: int | None, label: str
    ) -> Response:
        method = "POST" if api in ("predict", "classify", "regress") else "GET"
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return complain(405, f"Expected {method}. Received: {request.method[:10]}.", Allow=method)
        if api == "status":
            return _message(model_status(self._service, name, version, label))
        if api == "metadata":
            told = metadata(self._service.versions.find(name, version, label))
            return _message(told)
        if api != "predict":
            raise Refusal("UNIMPLEMENTED", f"{api} is not offered.", hint="Use :predict.")
        return await self._predict(request.body, name, version, label)

    async def _predict(self, body: bytes, name: str, version: int | None, label: str) -> Response:
        self._service.versions.find(name, version, label)  # before any work
        limit = time.monotonic() + self._timeout
        parsed = await _aside(len(body), serving_json.parse, body)
        call = self._service.find(name, version, label, parsed.get("signature_name", ""))
        inputs = await _aside(len(body), serving_json.to_arrays, parsed, call.signature)
        rows = "instances" in parsed
        del parsed
        outputs = await self._service.predict(call, inputs, limit - time.monotonic())
        size = sum(array.nbytes for array in outputs.values())
        return Response(200, await _aside(size, lambda: serving_json.to_json(outputs, rows=rows)))


def complain(status: int, words: str, **headers: str) -> Response:
    """An answer that says what is wrong, as TensorFlow Serving does: `{"error": ...}`.

    Args:
        status: of HTTP.
        words: for people.
        **headers: more of them.
    """
    if status in (429, 503):
        headers["Retry-After"] = "1"
    return Response(status, json.dumps({"error": words}).encode(), headers=headers)


async def _aside(size: int, work: Any, *args: Any) -> Any:
    """Calls in another thread what takes long, so that other requests go on."""
    return await asyncio.to_thread(work, *args) if size > _LARGE else work(*args)


def _message(message: Any) -> Response:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return Response(200, text.encode())
