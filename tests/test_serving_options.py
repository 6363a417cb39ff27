"""Flags and text files of TensorFlow Serving."""

import pytest

from ifrp_tf.errors import ConfigError
from ifrp_tf.serving_options import Options

BATCHING = """
# as in TensorFlow Serving's documentation
max_batch_size { value: 32 }
batch_timeout_micros { value: 500 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 }
pad_variable_length_inputs: true
allowed_batch_sizes: 8
allowed_batch_sizes: 32
"""


def options(**settings):
    return Options("ifrp", "models", **settings)


def test_a_batching_file_replaces_flags(tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text(BATCHING)
    made = options(batching_parameters_file=str(path), max_batch_size=4)
    assert (made.max_batch_size, made.batch_timeout_micros, made.num_batch_threads) == (32, 500, 2)
    assert made.capacity == 3200
    path.write_text("max_batch_size { value: 5000 }")
    with pytest.raises(ConfigError, match="max_batch_size from 1 to 4096"):
        options(batching_parameters_file=str(path))
    path.write_text("max_bath_size { value: 5 }")
    with pytest.raises(ConfigError, match="max_bath_size"):
        options(batching_parameters_file=str(path))


def test_a_monitoring_file_says_where_metrics_are(tmp_path):
    assert options().metrics_path() == "/monitoring/prometheus/metrics"
    path = tmp_path / "monitoring.txt"
    for text, expected in {
        'prometheus_config { enable: true, path: "/metrics" }': "/metrics",
        "prometheus_config { enable: true }": "/monitoring/prometheus/metrics",
        "": "",
    }.items():
        path.write_text(text)
        assert options(monitoring_config_file=str(path)).metrics_path() == expected


def test_a_certificate_needs_its_key(tmp_path):
    path = tmp_path / "ssl.txt"
    path.write_text('server_key: "a\\nb" server_cert: "c" client_verify: false')
    made = options(ssl_config_file=str(path)).tls()
    assert (made.server_key, made.server_cert, made.custom_ca) == ("a\nb", "c", "")
    assert options().tls() is None
    path.write_text('server_cert: "c"')
    with pytest.raises(ConfigError, match="server_key and server_cert"):
        options(ssl_config_file=str(path))


def test_channel_arguments():
    made = options(grpc_channel_arguments="grpc.max_concurrent_streams=9,grpc.primary_user_agent=x")
    assert made.channel_arguments() == [("grpc.max_concurrent_streams", 9), ("grpc.primary_user_agent", "x")]
    with pytest.raises(ConfigError, match="name=value"):
        options(grpc_channel_arguments="grpc.max")


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"rest_api_port": 70000},
        {"port": 0, "rest_api_port": 0},
        {"num_batch_threads": 0},
        {"max_request_bytes": 1},
        {"drain_seconds": 60},
        {"batching_parameters_file": "nowhere"},
        {"monitoring_config_file": "nowhere"},
        {"ssl_config_file": "nowhere"},
    ],
)
def test_wrong_settings(settings):
    with pytest.raises(ConfigError, match="Expected"):
        options(**settings)


@pytest.mark.parametrize("name", ["", "a/b", "a:predict"])
def test_names_that_no_address_can_hold(name):
    with pytest.raises(ConfigError, match="model_name"):
        Options(name, "models")
