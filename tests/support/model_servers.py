"""Small real model servers for the tests of the client: the stock stubs over gRPC, `http.server` over REST.

They answer with negatives, and go wrong as they are told to.
"""

import base64
import contextlib
import http.server
import json
import re
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ifrp_tf.pictures import images

HTTP = {
    "INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "TOO_MANY": 429, "INTERNAL": 500, "UNAVAILABLE": 503,
}  # fmt: skip
POISON = (1, 2, 3)
"""A picture that starts with this colour spoils its whole request."""


@dataclass
class Model:
    """What is served, and what goes wrong."""

    side: int = 32
    versions: tuple[int, ...] = (1,)
    failures: deque = field(default_factory=deque)  # codes of the next predictions
    sizes: list = field(default_factory=list)  # pictures in each prediction asked for
    delay: float = 0.0
    as_numbers: bool = False  # write int_val, as TensorFlow Serving does, in place of tensor_content
    photos: object = staticmethod(lambda portraits: 255 - portraits)
    signatures: tuple[str, ...] = ("serving_default", "recover_bytes")
    raw: bytes = b""  # what REST sends in place of an answer
    pieces: float = 0.0  # seconds between the bytes of `raw`
    headers: dict = field(default_factory=dict)
    connections: set = field(default_factory=set)

    def find(self, name, version):
        if name != "ifrp" or (version and version not in self.versions):
            raise Refused("NOT_FOUND", f"Servable not found for request: {name} {version}")
        return version or max(self.versions)

    def predict(self, portraits):
        self.sizes.append(len(portraits))
        time.sleep(self.delay)
        if self.failures:
            raise Refused(self.failures.popleft(), "as told")
        if (portraits[:, 0, 0] == POISON).all(axis=-1).any():
            raise Refused("INVALID_ARGUMENT", "The network's answer is not finite.")
        return self.photos(portraits)


class Refused(Exception):
    """An answer that is an error: code and words."""


def poisoned(pixels):
    """A copy that the servers refuse."""
    pixels = pixels.copy()
    pixels[0, 0] = POISON
    return pixels


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        with _refusing(context):
            version = self.model.find(request.model_spec.name, request.model_spec.version.value)
            assert request.model_spec.signature_name == "serving_default"
            assert request.inputs["portrait"].dtype == types_pb2.DT_UINT8
            photos = self.model.predict(tf.make_ndarray(request.inputs["portrait"]))
        answer = predict_pb2.PredictResponse()
        answer.model_spec.name, answer.model_spec.version.value = request.model_spec.name, version
        if isinstance(photos, np.ndarray):
            answer.outputs["photo"].CopyFrom(_tensor(photos, self.model.as_numbers))
        return answer

    def GetModelMetadata(self, request, context):
        with _refusing(context):
            version = self.model.find(request.model_spec.name, request.model_spec.version.value)
        assert list(request.metadata_field) == ["signature_def"]
        found = get_model_metadata_pb2.SignatureDefMap()
        for name in self.model.signatures:
            found.signature_def[name].CopyFrom(_signature(name, self.model.side))
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name, answer.model_spec.version.value = request.model_spec.name, version
        answer.metadata["signature_def"].Pack(found)
        return answer


class _Statuses(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self.model = model

    def GetModelStatus(self, request, context):
        with _refusing(context):
            self.model.find(request.model_spec.name, None)
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version in self.model.versions:
            answer.model_version_status.add(version=version, state=30)
        return answer


def _signature(name, side):
    kind, suffix = (types_pb2.DT_UINT8, "") if name == "serving_default" else (types_pb2.DT_STRING, "_bytes")
    sizes = [-1, side, side, 3] if not suffix else [-1]
    shape = tf.TensorShape([None if size < 0 else size for size in sizes]).as_proto()
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for part, key in ((definition.inputs, "portrait"), (definition.outputs, "photo")):
        part[f"{key}{suffix}"].CopyFrom(meta_graph_pb2.TensorInfo(dtype=kind, tensor_shape=shape))
    return definition


def _tensor(photos, as_numbers):
    tensor = tf.make_tensor_proto(photos)
    if as_numbers:
        tensor.tensor_content = b""
        tensor.int_val.extend(photos.ravel().tolist())
    return tensor


@contextlib.contextmanager
def _refusing(context):
    try:
        yield
    except Refused as refused:
        code = "UNAVAILABLE" if refused.args[0] == "TOO_MANY" else refused.args[0]
        context.abort(grpc.StatusCode[code], refused.args[1])


@contextlib.contextmanager
def grpc_server(model, tls=None, port=0):
    """Serves a model over gRPC; yields the address."""
    server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Predictions(model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Statuses(model), server)
    if tls:
        key, certificate = (path.read_bytes() for path in tls)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        port = server.add_secure_port("localhost:0", credentials)
    else:
        port = server.add_insecure_port(f"localhost:{port}")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self):
        self.answer(None)

    def do_POST(self):
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body):
        self.model.connections.add(self.client_address)
        if self.model.raw and body is not None:
            self.wfile.write(self.model.raw[:1])
            for k in range(1, len(self.model.raw)) if self.model.pieces else ():
                time.sleep(self.model.pieces)
                self.wfile.write(self.model.raw[k : k + 1])
            if not self.model.pieces:
                self.wfile.write(self.model.raw[1:])
            self.close_connection = True
            return
        status, headers = 200, self.model.headers
        try:
            said = self.say(body)
        except Refused as refused:
            status, said = HTTP[refused.args[0]], {"error": refused.args[1]}
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def say(self, body):
        pattern = r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata|)"
        name, version, verb = re.fullmatch(pattern, self.path).groups()
        version = self.model.find(name, int(version or 0))
        if verb == "/metadata":
            spec = {"name": name, "signature_name": "", "version": str(version)}
            found = {key: _signature_json(key, self.model.side) for key in self.model.signatures}
            return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": found}}}
        if verb == "":
            status = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            return {"model_version_status": [{"version": str(one), **status} for one in self.model.versions]}
        assert body["signature_name"] == "recover_bytes"
        files = [base64.b64decode(one["b64"], validate=True) for one in body["inputs"]["portrait_bytes"]]
        photos = self.model.predict(np.stack([images.read(one).pixels for one in files]))
        if not isinstance(photos, np.ndarray):
            return photos
        encoded = [base64.b64encode(images.encode_png(one)).decode() for one in photos]
        return {"outputs": [{"b64": one} for one in encoded]}

    def log_message(self, *_):
        pass


def _signature_json(name, side):
    def shape(proto):
        return {"dim": [{"size": str(dim.size), "name": ""} for dim in proto.dim], "unknown_rank": False}

    def tensors(part):
        return {
            key: {"dtype": types_pb2.DataType.Name(one.dtype), "tensor_shape": shape(one.tensor_shape)}
            for key, one in part.items()
        }

    found = _signature(name, side)
    return {"inputs": tensors(found.inputs), "outputs": tensors(found.outputs), "method_name": "predict"}


@contextlib.contextmanager
def rest_server(model, tls=None, port=0):
    """Serves a model over REST; yields the address."""
    handler = type("Handler", (_Handler,), {"model": model})
    server = http.server.ThreadingHTTPServer(("localhost", port), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that hang up are what the tests are about
    if tls:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls[1], tls[0])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


SERVERS = {"grpc": grpc_server, "rest": rest_server}


def certificate(folder):
    """A key and its certificate for `localhost`, made by openssl."""
    key, pem = folder / "key.pem", folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", key, "-out", pem, "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    return key, pem
