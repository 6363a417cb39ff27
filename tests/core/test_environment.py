import subprocess
import sys

from helpers import ROOT

from ifrp_tf.core import environment


def test_onednn_is_on_and_silence_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    variables: dict[str, str] = {}
    environment.prepare(variables)
    assert variables == {"TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def test_a_machine_with_a_gpu_hears_of_it(monkeypatch):
    monkeypatch.setattr(environment, "has_gpu", lambda: True)
    variables: dict[str, str] = {}
    environment.prepare(variables)
    assert variables == {"TF_ENABLE_ONEDNN_OPTS": "1"}


def test_what_the_user_has_set_stays():
    variables = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "0"}
    environment.prepare(variables)
    assert variables == {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "0"}


def test_importing_the_package_prepares_the_process_and_imports_nothing_heavy():
    code = (
        "import os, sys; import ifrp_tf; heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules);"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'], *sorted(heavy))"
    )
    clean = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
