import tensorflow as tf

from benchmarks import machine


def test_the_device_is_the_one_that_tensorflow_has():
    assert machine.device() == ("GPU" if tf.config.list_physical_devices("GPU") else "CPU")


def test_the_product_is_computed(monkeypatch):
    monkeypatch.setattr(machine, "MATMUL_SIDE", 64)
    product, operations = machine.matmul()
    assert operations == 64**3
    assert 4 < product() < 28  # the sum of 64 products of two numbers between 0 and 1
    assert product() == product()
