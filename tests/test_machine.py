import os

import pytest
import tensorflow as tf

from ifrp_tf import machine
from ifrp_tf.errors import ConfigError


def test_all_cores_without_a_number():
    assert machine.use_threads(0) == len(os.sched_getaffinity(0))


def test_threads_are_set_before_tensorflow_starts_or_not_at_all():
    tf.zeros(1)
    with pytest.raises(ConfigError, match="not to have started"):
        machine.use_threads(tf.config.threading.get_intra_op_parallelism_threads() + 3)


@pytest.mark.parametrize("count", [-1, 1025])
def test_threads_out_of_range_are_refused(count):
    with pytest.raises(ConfigError, match="from 0"):
        machine.use_threads(count)


def test_the_device_is_the_one_that_tensorflow_has():
    assert machine.device() == ("GPU" if tf.config.list_physical_devices("GPU") else "CPU")


def test_the_product_is_computed(monkeypatch):
    monkeypatch.setattr(machine, "MATMUL_SIDE", 64)
    product, operations = machine.matmul()
    assert operations == 64**3
    assert 4 < product() < 28  # the sum of 64 products of two numbers between 0 and 1
    assert product() == product()
