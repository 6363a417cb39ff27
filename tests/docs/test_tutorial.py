"""The tutorial, executed from its first to its last cell by a kernel of its own."""

import pytest
from helpers import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs the extra `docs`")
nbclient = pytest.importorskip("nbclient", reason="needs the extra `docs`")
pytest.importorskip("ipykernel", reason="needs the extra `docs`")
pytest.importorskip("aiohttp", reason="needs the extra `serve`")


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    (settings,) = (cell for cell in notebook.cells if cell.source.startswith("SETTINGS = "))
    # Each style and the critic would take seconds to be traced. What is trained is then worth nothing.
    settings.source = 'SETTINGS = ["train.pictures=192", "data.styles=pencil", "loss.adversarial=0.0"]'
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.get("text", "") for output in outputs if output.output_type == "stream")
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(shown) == 5
    assert "found by " in said
    assert "toy/1 is served at gRPC 127.0.0.1:" in said
    assert "the two differ by at most " in said
    assert "the server ended with 0" in said
    answers = [
        line.split() for line in said.splitlines() if line.startswith(("the answer ", "the portrait as"))
    ]
    recovered, portrait = (float(words[words.index("dB") - 1]) for words in answers[:2])
    assert recovered > portrait + 3
