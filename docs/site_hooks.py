"""What MkDocs does for the site beyond docs/*.md: pages of other files, links among them, and their check.

The README, the cards, the systems and the changes stay where they belong and can be read there: a line of a
page that is nothing but a link to a section of the README becomes that section; names of pages become links.
The commands, the API and the tutorial become pages, too. A link that leads nowhere, and anything that a
browser would fetch from elsewhere, ends the build.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import json
import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import griffe
from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent

README = "README.md"
NOTEBOOK = "docs/tutorial.ipynb"
_OUTSIDE = {"WORKSPACE.md": "map.md", "CHANGELOG.md": "changes.md", NOTEBOOK: "tutorial.md"}
_ALONE = re.compile(rf"^\[[^\]\n]*\]\((?:\.\./)+{re.escape(README)}(?:#([\w-]+))?\)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_NAMED = re.compile(
    r"(?<!\[)`((?:docs|saved_models|ifrp_tf/systems)/[\w./<>-]+|WORKSPACE\.md|CHANGELOG\.md)`"
)


class Docstrings(griffe.Extension):
    """Says our docstrings as griffe reads them: `Examples:` is code, each argument has its own line."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Renames `Example:`, and gives `a, b: text` twice."""

        def each(found: re.Match[str]) -> str:
            indent, names, text = found.groups()
            return "".join(f"{indent}{name}: {text}" for name in names.split(", "))

        if obj.docstring:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
            several = r"^( +)(\w+(?:, \w+)+): (.+\n?(?:\1 +.*\n?)*)"
            obj.docstring.value = re.sub(several, each, text + "\n", flags=re.M).rstrip()


_LAST = "---\nsearch:\n  boost: 0.2\n---"
"""Head of a page that the search shows behind the guides."""

# Which pages there are.


def cards(root: Path = ROOT) -> dict[str, str]:
    """The card of the newest version of every released model: file in the repository -> page."""
    found = {}
    for folder in sorted((root / "saved_models").iterdir()):
        versions = sorted(
            (each for each in folder.glob("*/MODEL_CARD.md") if each.parent.name.isdigit()),
            key=lambda each: int(each.parent.name),
        )
        for card in [*versions[-1:], *folder.glob("CARD.md")]:
            found[card.relative_to(root).as_posix()] = f"cards/{folder.name}.md"
    return found


@functools.cache
def pages() -> dict[str, str]:
    """File in the repository -> page of the site, of every page that is a file."""
    found = {path.relative_to(ROOT).as_posix(): "" for path in ROOT.glob("docs/**/*.md")}
    found = {name: name.removeprefix("docs/") for name in sorted(found)}
    for path in sorted(ROOT.glob("ifrp_tf/systems/*/README.md")):
        found[path.relative_to(ROOT).as_posix()] = f"systems/{path.parent.name}.md"
    return found | cards() | _OUTSIDE


def sections(text: str) -> dict[str, str]:
    """The parts of a Markdown text by the anchor of their heading of level 2; "" is what is before."""
    parts = re.split(r"^## (.+)\n", re.sub(r"\A# .+\n", "", text), flags=re.MULTILINE)
    titles = ["", *(slugify(title, "-") for title in parts[1::2])]
    return {title: body.strip() for title, body in zip(titles, parts[::2], strict=True)}


@functools.cache
def included() -> dict[str, str]:
    """Section of the README -> the page that shows it: each is on exactly one."""
    there = dict.fromkeys(sections((ROOT / README).read_text(encoding="utf-8")), "")
    for source, uri in pages().items():
        if source.startswith("docs/") and source.endswith(".md"):
            for found in _ALONE.finditer((ROOT / source).read_text(encoding="utf-8")):
                name = found[1] or ""
                if there.get(name, uri):
                    raise PluginError(
                        f"{source}: the README has no section {name!r}, or another page has it."
                    )
                there[name] = uri
    if missing := [name for name, uri in there.items() if not uri]:
        raise PluginError(f"No page of docs/ shows these sections of the README: {missing}.")
    return there


# What is in them.


def _prose(text: str, change: Any) -> str:
    """Changes the lines that are no code."""
    lines, fenced = [], False
    for line in text.split("\n"):
        mark = line.lstrip().startswith("```")
        fenced ^= mark
        lines.append(line if fenced or mark or line.startswith("    ") else change(line))
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text whose signs mean nothing in Markdown."""
    return re.sub(r"[|<>_*`]", lambda found: f"&#{ord(found[0])};", text)


def linked(text: str, source: str, uri: str) -> str:
    """Turns links to files of the repository, and names of pages in backquotes, into links between pages.

    Args:
        text: Markdown.
        source: the file it is from, relative to the repository.
        uri: the page it is shown on.

    Raises:
        PluginError: a link leads nowhere.
    """

    def to(page: str, fragment: str = "") -> str:
        return posixpath.relpath(page, posixpath.dirname(uri) or ".") + (fragment and f"#{fragment}")

    def link(found: re.Match[str]) -> str:
        label, target = found[1], urlsplit(found[2])
        if target.scheme or not target.path:
            return found[0]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), target.path))
        if name == README:
            return f"[{label}]({to(included().get(target.fragment, 'first_steps.md'))})"
        if name in pages():
            return f"[{label}]({to(pages()[name], target.fragment)})"
        if generated := re.match(r"ifrp_tf/(\w+)(?:/|$)", name):
            return f"[{label}]({to('commands.md' if generated[1] == 'cli' else f'api/{generated[1]}.md')})"
        if not (ROOT / name).exists():
            raise PluginError(f"{source}: a link leads to {found[2]!r}, which is not there.")
        return found[0] if name.startswith("docs/") else f"{label} (`{name}`)"

    def named(found: re.Match[str]) -> str:
        name = found[1].rstrip("/")
        page = pages().get(name) or pages().get(f"{name}/README.md")
        if re.fullmatch(r"saved_models/\w+/<version>/MODEL_CARD.md", name):
            page = f"cards/{name.split('/')[1]}.md"
        return f"[{found[0]}]({to(page)})" if page and page != uri else found[0]

    return _prose(text, lambda line: _NAMED.sub(named, _LINK.sub(link, line)))


def tutorial() -> str:
    """The notebook as Markdown."""
    cells = json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    texts = []
    for cell in cells:
        text = "".join(cell["source"])
        texts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(texts)


def commands() -> str:
    """The help of every command."""
    from ifrp_tf.cli import command, main

    parts = [
        "# Commands",
        "`ifrp <command>` with an installed package, `python tools/<command>.py` in a checkout; `--help` "
        "says the same. Exit codes: 0 all good, 1 some inputs failed, 2 wrong usage, 3 model unusable, 130 "
        "interrupted.",
    ]
    for name in main.commands():
        module = importlib.import_module(f"ifrp_tf.cli.{name.replace('-', '_')}")
        help_ = re.sub(r"((?:^python .*\n?)+)", r"```sh\n\1```\n", module.__doc__ or "", flags=re.MULTILINE)
        told = command.explanations(module.Request)
        rows = ["| flag | default | |", "|---|---|---|"]
        for field in dataclasses.fields(module.Request):
            default = field.default
            if default is dataclasses.MISSING:
                default = "*must be given*"
            elif isinstance(default, bool):
                default = "on" if default else "off"
            else:
                shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
                default = "" if shown in ("", None) else f"`{shown}`"
            rows.append(f"| `--{field.name}` | {default} | {_plain(told[field.name])} |")
        parts += [f"## ifrp {name}", _prose(help_.strip(), _plain), "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def api() -> dict[str, str]:
    """Page -> Markdown of the API: one page a package, and one of the public names."""
    import ifrp_tf

    found = {}
    for package in sorted(path.parent for path in ROOT.glob("ifrp_tf/*/__init__.py")):
        if package.name == "cli":  # a page of its own
            continue
        about = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
        modules = [
            path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            for path in sorted(package.rglob("*.py"))
            if path.name != "__init__.py"
        ]
        found[f"api/{package.name}.md"] = "\n\n".join(
            [_LAST, f"# {package.name}", about or "", *(f"::: {module}" for module in modules)]
        )
    rows = [
        f"* [`ifrp_tf.{name}`][ifrp_tf.{target.replace(':', '.')}]"
        for name, target in sorted(ifrp_tf._PUBLIC.items())
    ]
    opened = "# Python API\n\nThe public names, of `ifrp_tf` itself:\n\n"
    rest = "\n\nAll other modules are imported from their package: `from ifrp_tf.pictures import images`.\n"
    return {"api/index.md": opened + "\n".join(rows) + rest, **found}


# The build.


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fills in what of the navigation depends on what there is."""

    def fill(entries: list[Any]) -> None:
        for entry in entries:
            for title, below in entry.items() if isinstance(entry, dict) else ():
                if title == "Cards":
                    below += [{Path(page).stem: page} for page in cards().values()]
                elif title == "Systems":
                    below += [{Path(p).stem: p} for p in pages().values() if p.startswith("systems/")]
                elif title == "Reference":
                    names = list(api())
                    below.append({"Python API": [names[0], *({Path(n).stem: n} for n in names[1:])]})
                elif title == "The method" and isinstance(below, list) and "docs/comparison.md" in pages():
                    below.insert(2, {"Comparison": "comparison.md"})
                if isinstance(below, list):
                    fill(below)

    fill(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are no files of docs/."""
    made = {"commands.md": commands(), **api()}
    for source, uri in pages().items():
        if source == NOTEBOOK:
            made[uri] = tutorial()
        elif files.get_file_from_path(uri) is None:
            made[uri] = (ROOT / source).read_text(encoding="utf-8")
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links the page to others, and lays the README's sections in."""
    uri = page.file.src_uri
    source = next((name for name, made in pages().items() if made == uri), "")
    if not source:
        return markdown
    included()
    readme = sections((ROOT / README).read_text(encoding="utf-8"))
    parts = _ALONE.split(markdown)  # text, section, text, ...
    parts[::2] = [linked(text, source, uri) for text in parts[::2]]
    parts[1::2] = [linked(readme[name or ""], README, uri) for name in parts[1::2]]
    return "".join(parts)


class _Places(HTMLParser):
    """Anchors of a page, its links, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag in ("img", "script", "link", "source", "iframe", "video"):
            self.fetched += filter(None, [given.get("src") or given.get("href")])


def faults(site: Path) -> Iterator[str]:
    """What is wrong with the links of a site that was built.

    Args:
        site: its folder.

    Yields:
        A sentence for every link that leads nowhere and for everything that would be fetched from elsewhere.
    """
    places = {
        path: _Places(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"  # its links are those of a host's root
    }
    for path, found in places.items():
        page = path.relative_to(site)
        for place in (*found.links, *found.fetched):
            target = urlsplit(place)
            if target.scheme or target.netloc:
                if place in found.fetched and target.scheme != "data":
                    yield f"{page} fetches {place}."
                continue
            to = (path.parent / unquote(target.path)).resolve() if target.path else path
            if not to.is_file():
                yield f"{page} leads to {place}, which is not there."
            elif to in places and unquote(target.fragment) not in places[to].anchors:
                yield f"{page} leads to {place}: there is no such place on that page."
    for path in sorted(site.rglob("*.css")):
        for found in re.findall(
            r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^\s\"')]+", path.read_text("utf-8")
        ):
            yield f"{path.relative_to(site)} fetches {found}."


def on_post_build(config: MkDocsConfig) -> None:
    """Checks every link."""
    if wrong := list(faults(Path(config.site_dir).resolve())):
        raise PluginError("\n".join([f"{len(wrong)} links are broken:", *wrong[:40]]))
