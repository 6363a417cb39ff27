"""A tiny exported network behind real sockets: in this process or another one, or in TensorFlow Serving."""

import asyncio
import atexit
import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import small_model
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from ifrp_tf.pictures import images
from ifrp_tf.release import export
from ifrp_tf.release import folder as model_folder
from ifrp_tf.serving.batching import Job
from ifrp_tf.serving.server import Options, Server

SIDE = small_model.TINY.data.side
NAME = "toy"
# The binary of TensorFlow Serving, where there is one: the same tests then run against it.
BINARY = os.environ.get("IFRP_MODEL_SERVER", "")


@functools.cache
def released():
    """A folder of versions with one, 1; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="ifrp_served_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    small_model.write_run(folder / "run", small_model.TINY)
    export.run(folder / "run", folder / NAME / "1")
    return folder / NAME


@functools.cache
def signatures(folder=None):
    """The functions of a version, called directly: what every server must answer."""
    loaded = tf.saved_model.load(str(folder or released() / "1"))
    kept.append(loaded)
    return loaded.signatures


kept = []


def direct(portraits):
    """The SavedModel's own answer."""
    return signatures()["serving_default"](portrait=tf.constant(portraits))["photo"].numpy()


def portraits(count, seed=0):
    """Noisy pictures, each another one."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def files(count):
    """PNG files of pictures that are not of the network's size."""
    return [
        images.encode_png(np.random.default_rng(seed).integers(0, 256, (40, 52, 3)).astype(np.uint8))
        for seed in range(count)
    ]


def copy_version(folder, number, source=1):
    """Another version, whole, appearing under its name at once as an export does."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    shutil.copytree(released() / str(source), folder / f".{number}")
    os.replace(folder / f".{number}", folder / str(number))
    return folder / str(number)


def darker(folder, number):
    """A version that answers otherwise: black, whatever it is shown."""

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="portrait")])
    def serving_default(portrait):
        return {"photo": tf.zeros_like(portrait)}

    path = Path(folder) / f".{number}"
    tf.saved_model.save(tf.Module(), str(path), signatures={"serving_default": serving_default})
    shutil.copy(released() / "1" / "config.json", path)
    model_folder.write_checksums(path)
    os.replace(path, Path(folder) / str(number))


class Endpoint:
    """Where a server listens, and clients of the stock stubs for it."""

    def __init__(self, port, rest_port, server=None, process=None):
        self.port, self.rest_port, self.server, self.process = port, rest_port, server, process
        limit = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", limit)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, timeout=20, **inputs):
        return self.prediction.Predict(request(**inputs), timeout=timeout)

    def photos(self, pictures, timeout=20):
        answer = self.predict(portrait=pictures, timeout=timeout)
        return tf.make_ndarray(answer.outputs["photo"])

    def http(self, method, path, body=None, headers=None):
        """Status, and the body as an object where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=20)
        try:
            data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers["Content-Type"].startswith("application/json")
            return answer.status, json.loads(content) if is_json else content.decode()
        finally:
            connection.close()

    def post(self, body, verb=":predict"):
        return self.http("POST", f"/v1/models/{NAME}{verb}", body)

    def metric(self, name):
        """Sum over the labels of a counter or gauge."""
        _, text = self.http("GET", "/monitoring/prometheus/metrics")
        lines = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def request(name=NAME, signature="", version=None, **inputs):
    """A stock request."""
    made = predict_pb2.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = name, signature
    if version is not None:
        made.model_spec.version.value = version
    for key, value in inputs.items():
        made.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return made


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def inside(folder=None, **settings):
    """A server in a thread of this process, whose parts a test can reach."""
    defaults = {"port": free_port(), "rest_api_port": free_port(), "file_system_poll_wait_seconds": 0.05}
    options = Options(NAME, str(folder or released()), **{**defaults, **settings})
    server, ready, loop = Server(options), threading.Event(), asyncio.new_event_loop()
    failures, over = [], asyncio.Event()

    async def live():
        try:
            await server.start()
        except Exception as error:
            failures.append(error)
            return
        finally:
            ready.set()
        await over.wait()
        await server.stop(5.0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    assert ready.wait(180)
    endpoint = Endpoint(options.port, options.rest_api_port, server)
    try:
        if failures:
            raise failures[0]
        yield endpoint
    finally:
        endpoint.channel.close()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(over.set)
        thread.join(20)
        alive = thread.is_alive()
        loop.close() if not alive else None
        assert not alive, "the server did not stop"


@contextlib.contextmanager
def outside(folder, *flags, binary=""):
    """A server in a process of its own: `tools/serve.py`, or TensorFlow Serving."""
    port, rest_port = free_port(), free_port()
    own = [binary] if binary else small_model.command("serve")
    command = [
        *own,
        f"--model_name={NAME}",
        f"--model_base_path={folder}",
        f"--port={port}",
        f"--rest_api_port={rest_port}",
        *flags,
    ]
    process = subprocess.Popen(
        command, env=small_model.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    endpoint = Endpoint(port, rest_port, process=process)
    try:
        wait_for(lambda: _is_up(endpoint), 180)  # TensorFlow takes its time on a busy machine
        yield endpoint
    finally:
        endpoint.channel.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.stderr.close()


def _is_up(endpoint):
    assert endpoint.process.poll() is None, endpoint.process.stderr.read()
    with contextlib.suppress(OSError):
        return endpoint.http("GET", f"/v1/models/{NAME}")[0] == 200


@contextlib.contextmanager
def any_server(folder=None):
    """TensorFlow Serving where its binary is named, else ours."""
    if BINARY:
        with outside(folder or released(), binary=BINARY) as endpoint:
            yield endpoint
    else:
        with inside(folder) as endpoint:
            yield endpoint


class Held:
    """Keeps a batcher's thread busy, as a slow model would."""

    batched = False

    def __init__(self, batcher):
        self.batcher, self.free, self.taken = batcher, threading.Event(), threading.Event()

    def run(self, inputs):
        self.taken.set()
        self.free.wait(20)
        return {}

    def __enter__(self):
        self.batcher.submit([Job(self, {}, 1, float("inf"), lambda outputs, error: None)])
        assert self.taken.wait(20)
        return self

    def __exit__(self, *_):
        self.free.set()


def wait_for(condition, seconds=30):
    """Waits until something is so."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)
