"""Packages the released model and the style bank, which are outside of `ifrp_tf/`, as its package data."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ifrp_tf", "ifrp_tf.*"]), "ifrp_tf.saved_models"],
    package_dir={"ifrp_tf": "ifrp_tf", "ifrp_tf.saved_models": "saved_models"},
    package_data={"": ["templates/*"], "ifrp_tf.saved_models": ["ifrp/*/*", "ifrp/*/*/*", "style_bank/*"]},
)
