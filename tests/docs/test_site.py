"""The site: pages of other files, links among them, and what its build refuses. `make docs` builds it."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs", reason="needs the extra `docs`")
pytest.importorskip("griffe", reason="needs the extra `docs`")

import griffe
import site_hooks
from helpers import ROOT
from mkdocs.exceptions import PluginError

from ifrp_tf.cli import main


def test_every_section_of_the_readme_is_on_one_page():
    titles = [line[3:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("## ")]
    shown = site_hooks.included()
    assert len(shown) == len(titles) + 1
    assert set(shown.values()) <= {
        page for page in site_hooks.pages().values() if "/" not in page or "guides" in page
    }


def test_a_section_is_what_is_below_its_heading():
    text = "# Title\n\nBefore.\n\n## First, of all\n\nOne.\n\n### Deeper\n\nTwo.\n\n## Second\nThree.\n"
    assert site_hooks.sections(text) == {
        "": "Before.",
        "first-of-all": "One.\n\n### Deeper\n\nTwo.",
        "second": "Three.",
    }


OUT = "[out](https://arxiv.org/abs/1904.04241) [down](#a)"
CODE = "    `docs/field.md`\n```\n`docs/field.md`\n```"
CARD = "`saved_models/ifrp/<version>/MODEL_CARD.md`"


@pytest.mark.parametrize(
    ("text", "page", "expected"),
    [
        ("See `docs/field.md`.", "guides/museum.md", "See [`docs/field.md`](../field.md)."),
        (CARD, "index.md", f"[{CARD}](cards/ifrp.md)"),
        ("[map](../WORKSPACE.md#how-to)", "method.md", "[map](map.md#how-to)"),
        ("[all](../../README.md#as-a-service)", "guides/museum.md", "[all](application.md)"),
        ("[a](../ifrp_tf/nn/losses.py) [b](../ifrp_tf/cli)", "index.md", "[a](api/nn.md) [b](commands.md)"),
        ("[numbers](ablations/losses.json)", "ablations.md", "[numbers](ablations/losses.json)"),
        ("[it](../Makefile)", "method.md", "it (`Makefile`)"),
        (OUT, "index.md", OUT),
        (CODE, "index.md", CODE),
        ("`docs/field.md`, `docs/nothing.md`", "field.md", "`docs/field.md`, `docs/nothing.md`"),
    ],
)
def test_links_to_files_become_links_to_pages(text, page, expected):
    assert site_hooks.linked(text, f"docs/{page}", page) == expected


def test_a_link_to_nothing_is_an_error():
    with pytest.raises(PluginError, match=r"docs/method.md: a link leads to 'nothing.md'"):
        site_hooks.linked("[it](nothing.md)", "docs/method.md", "method.md")


def test_the_newest_card_of_each_model_is_a_page(tmp_path):
    for name in ("ifrp/4", "ifrp/10", "afrp/1"):
        (tmp_path / "saved_models" / name).mkdir(parents=True)
        (tmp_path / "saved_models" / name / "MODEL_CARD.md").touch()
    (tmp_path / "saved_models/style_bank").mkdir()
    (tmp_path / "saved_models/style_bank/CARD.md").touch()
    assert site_hooks.cards(tmp_path) == {
        "saved_models/afrp/1/MODEL_CARD.md": "cards/afrp.md",
        "saved_models/ifrp/10/MODEL_CARD.md": "cards/ifrp.md",
        "saved_models/style_bank/CARD.md": "cards/style_bank.md",
    }


def test_every_system_has_a_page():
    systems = {path.parent.name for path in ROOT.glob("ifrp_tf/systems/*/settings.py")}
    assert systems == {path.parent.name for path in ROOT.glob("ifrp_tf/systems/*/README.md")}


def test_every_command_is_explained_with_its_flags():
    text = site_hooks.commands()
    for name in main.commands():
        assert f"\n## ifrp {name}\n" in text
    assert "```sh\npython tools/recover.py --input=" in text
    assert "| `--pictures` | *must be given* | Training pictures of every row. |" in text


DOCSTRING = """A.

Attributes:
    height, width: of the picture,
        pixels.
    side: of the square.

Example:
    >>> f(1)
    2
"""


def test_docstrings_are_said_as_they_are_read():
    docstring = griffe.Docstring(DOCSTRING)
    site_hooks.Docstrings().on_object(obj=SimpleNamespace(docstring=docstring))
    text, attributes, examples = docstring.parse("google", warnings=False)
    assert [(each.name, each.description) for each in attributes.value] == [
        ("height", "of the picture,\npixels."),
        ("width", "of the picture,\npixels."),
        ("side", "of the square."),
    ]
    assert examples.kind is griffe.DocstringSectionKind.examples


def test_the_tutorial_is_committed_without_outputs():
    cells = json.loads((ROOT / site_hooks.NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert site_hooks.tutorial().count("```python") == len(code)


def test_the_built_site_is_searched_for_broken_links_and_for_what_comes_from_elsewhere(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.html").write_text(
        '<a href="below/b.html#there">1</a><a href="below/b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="https://arxiv.org">4</a><a href="#own">5</a><p id="own"></p>'
        '<link rel="stylesheet" href="a.css"><script src="https://cdn.example/x.js"></script>'
        '<img src="data:image/png;base64,AA==">'
    )
    (tmp_path / "below/b.html").write_text(
        '<h1 id="there">1</h1><a href="../a.html">2</a><img src="//host/p.png">'
    )
    (tmp_path / "a.css").write_text('@import "https://fonts.example/f.css"; p { background: url(own.png) }')
    assert list(site_hooks.faults(tmp_path)) == [
        "a.html leads to below/b.html#gone: there is no such place on that page.",
        "a.html leads to c.html, which is not there.",
        "a.html fetches https://cdn.example/x.js.",
        "below/b.html fetches //host/p.png.",
        'a.css fetches @import "https://fonts.example/f.css.',
    ]
    with pytest.raises(PluginError, match="5 links are broken"):
        site_hooks.on_post_build(SimpleNamespace(site_dir=str(tmp_path)))
