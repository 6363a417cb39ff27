from pathlib import Path

from helpers import ROOT

from ifrp_tf.core import assets
from ifrp_tf.styles import bank


def test_a_checkout_has_its_own_models():
    assert assets.folder() == ROOT / "saved_models"
    assert Path(assets.MODEL) == ROOT / "saved_models" / "ifrp"
    assert Path(bank.FOLDER) == ROOT / "saved_models" / "style_bank"


def test_the_variable_wins(monkeypatch, tmp_path):
    monkeypatch.setenv(assets.VARIABLE, str(tmp_path))
    assert assets.folder() == tmp_path


def test_an_installed_package_has_them_inside(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "ifrp_tf")
    (tmp_path / "ifrp_tf" / "saved_models").mkdir(parents=True)
    assert assets.folder() == tmp_path / "ifrp_tf" / "saved_models"
