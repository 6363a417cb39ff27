"""The rules of the house, checked on the source: sizes, imports, documentation, one test file a module."""

import ast
import re
import subprocess

import pytest
from helpers import ROOT

PACKAGE = sorted((ROOT / "ifrp_tf").rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))
SOURCES = [*PACKAGE, *TOOLS]
NEUTRAL = ("misalign", "features", "styles", "layers", "networks", "losses", "metrics")
# `types` holds one alias; `__init__` the version.
WITHOUT_TESTS = ("__init__", "types")


def label(path):
    return str(path.relative_to(ROOT))


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path):
    return [
        node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def imports(path):
    """Every imported module and every name imported from one, wherever the import stands."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_from(path, package):
    return sorted(name for name in imports(path) if name == package or name.startswith(f"{package}."))


def public(body, prefix=""):
    """The public functions and classes of a module, with the methods of the classes."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            yield from public(node.body, f"{prefix}{node.name}.")


every_source = pytest.mark.parametrize("path", SOURCES, ids=label)
every_module = pytest.mark.parametrize("path", PACKAGE, ids=label)


@every_source
def test_modules_are_short(path):
    limit = 80 if path in TOOLS else 250
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@every_source
def test_functions_are_short(path):
    long = {}
    for node in functions(path):
        length = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node) is not None:
            length -= node.body[0].end_lineno - node.body[0].lineno + 1
        if length > 60:
            long[node.name] = length
    assert not long


@every_module
def test_everything_public_is_documented(path):
    assert ast.get_docstring(tree(path)), "the module"
    silent = [name for name, node in public(tree(path).body) if not ast.get_docstring(node)]
    assert not silent


@every_module
def test_everything_public_is_annotated(path):
    bare = []
    for name, node in public(tree(path).body):
        if isinstance(node, ast.ClassDef):
            continue
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bare += [
            f"{name}({argument.arg})"
            for argument in arguments
            if argument and argument.annotation is None and argument.arg not in ("self", "cls")
        ]
        if node.returns is None:
            bare.append(f"{name} ->")
    assert not bare


@every_module
def test_every_module_has_a_test_file(path):
    if path.stem not in WITHOUT_TESTS:
        assert (ROOT / "tests" / f"test_{path.stem}.py").is_file()


def test_no_two_modules_share_a_test_file():
    stems = [path.stem for path in PACKAGE if path.stem != "__init__"]
    assert sorted(stems) == sorted(set(stems))


@every_module
def test_flags_are_parsed_in_tools_only(path):
    assert not imports_from(path, "absl.flags")
    assert not imports_from(path, "argparse")


def test_rooms_that_every_backend_shares_import_none_of_them():
    """Nor does anything that they import themselves."""
    shared = [
        path for path in PACKAGE if path.relative_to(ROOT / "ifrp_tf").with_suffix("").parts[0] in NEUTRAL
    ]
    assert len(shared) > len(NEUTRAL)
    for path in shared:  # grows while it is read
        found = {ROOT / f"{name.replace('.', '/')}.py" for name in imports_from(path, "ifrp_tf")}
        shared += [other for other in sorted(found) if other.is_file() and other not in shared]
    guilty = [label(path) for path in shared for name in ("tensorflow", "jax") if imports_from(path, name)]
    assert not guilty


def test_the_client_needs_neither_tensorflow_nor_keras():
    """Nor does anything that it imports when it is imported itself."""
    names = ["client", "remote"]
    for name in names:  # grows while it is read
        path = ROOT / "ifrp_tf" / f"{name}.py"
        outer = ast.Module([node for node in tree(path).body if not isinstance(node, ast.If)], [])
        for node in outer.body:
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert not {part.split(".")[0] for part in found} & {"tensorflow", "keras"}, name
            inner = {part.split(".")[1] for part in found if part.startswith("ifrp_tf.")}
            inner = {part for part in inner if (ROOT / "ifrp_tf" / f"{part}.py").is_file()}
            names += sorted(inner - set(names))
    assert len(names) > 10


@every_source
def test_keras_3_only(path):
    text = path.read_text(encoding="utf-8")
    assert "tf.keras" not in text
    assert not imports_from(path, "tensorflow.keras")
    assert not imports_from(path, "tf_keras")
    assert not imports_from(path, "tensorflow_addons")


@every_source
def test_ranges_meet_in_one_place(path):
    constants = [node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)]
    if path != ROOT / "ifrp_tf" / "images.py":
        assert 127.5 not in [value for value in constants if isinstance(value, float)]


@every_source
def test_nothing_that_runs_code_from_a_file(path):
    for name in ("pickle", "cloudpickle", "dill", "joblib", "shelve"):
        assert not imports_from(path, name)
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    forbidden = {"Lambda", "py_function", "numpy_function", "eval", "exec", "enable_unsafe_deserialization"}
    assert not names & forbidden
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")
    assert not re.search(r"safe_mode\s*=\s*False", path.read_text(encoding="utf-8"))


def test_there_is_no_drawer_for_odds_and_ends():
    names = {path.stem for path in SOURCES}
    assert not names & {"util", "utils", "helpers", "common", "misc"}


def test_no_large_file_is_tracked():
    """Weights belong to `saved_models/`, data to nobody's repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    paths = [ROOT / name for name in listing.split("\0") if name and not name.startswith("saved_models/")]
    assert paths
    large = [label(path) for path in paths if path.is_file() and path.stat().st_size > 100_000]
    assert not large
