"""Recovers the faces behind portraits on a model server; neither the model nor TensorFlow is needed here.

python tools/recover_remote.py --address=localhost:8500 --input=portrait.jpg --output=recovered
python tools/recover_remote.py --address=localhost:8501 --protocol=rest --input=portraits --output=recovered

The server is tools/serve.py or TensorFlow Serving. Writes <stem>_recovered.png and report.json, as
tools/recover.py does. Exit code: 0 all good, 1 some inputs failed or none was found, 2 wrong usage, 3 no such
server or model, 130 interrupted (run it again to go on).
"""

from __future__ import annotations

from absl import flags
from launch import launch

_ADDRESS = flags.DEFINE_string("address", None, "The server, HOST:PORT.", required=True)
_INPUT = flags.DEFINE_string("input", None, "A picture, a folder, or a pattern in quotes.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the results; made if missing.", required=True)
_PROTOCOL = flags.DEFINE_enum("protocol", "grpc", ["grpc", "rest"], "What the port speaks.")
_MODEL_NAME = flags.DEFINE_string("model_name", "ifrp", "The name under which the model is served.")
_VERSION = flags.DEFINE_integer("model_version", None, "Of the model; without it the server's newest.")
_SIDE_BY_SIDE = flags.DEFINE_boolean("side_by_side", False, "Also write <stem>_side_by_side.png.")
_UNCERTAINTY = flags.DEFINE_boolean(
    "uncertainty", False, "Also write <stem>_uncertainty.png and a number; 16 times the load."
)
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace existing outputs.")
_TIMEOUT = flags.DEFINE_float("timeout", 60.0, "Seconds for 16 pictures with all retries.")
_RETRIES = flags.DEFINE_integer("retries", 8, "How often they are sent again to a full or absent server.")
_TLS = flags.DEFINE_boolean("tls", False, "Encrypt. Without it whoever is on the way sees the pictures.")
_CERTIFICATES = flags.DEFINE_string("certificates", None, "PEM file to trust instead of the system's.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.recovery import remote  # late: --help and wrong usage need no grpcio

    return remote.run(
        _INPUT.value,
        _OUTPUT.value,
        address=_ADDRESS.value,
        model=_MODEL_NAME.value,
        version=_VERSION.value,
        protocol=_PROTOCOL.value,
        side_by_side=_SIDE_BY_SIDE.value,
        overwrite=_OVERWRITE.value,
        uncertainty=_UNCERTAINTY.value,
        timeout=_TIMEOUT.value,
        retries=_RETRIES.value,
        tls=_CERTIFICATES.value or _TLS.value,
    )


if __name__ == "__main__":
    launch(main, __doc__)
