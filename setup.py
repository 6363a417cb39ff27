"""Adds templates to the package, and the released model and style bank, which are outside of `ifrp_tf/`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ifrp_tf", "ifrp_tf.*"]), "ifrp_tf.saved_models"],
    package_dir={"ifrp_tf": "ifrp_tf", "ifrp_tf.saved_models": "saved_models"},
    package_data={
        "": ["templates/*"],
        "ifrp_tf.saved_models": [
            "ifrp/*/*",
            "ifrp/*/*/*",
            "normalised_face/*/*",
            "normalised_face/*/*/*",
            "style_bank/*",
        ],
    },
)
