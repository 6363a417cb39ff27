"""What every command shares: flags derived from a dataclass, exit codes, errors without a traceback.

A command is a module of this package with a docstring, a frozen dataclass `Request` and `run(request)`.
The fields of `Request` are its flags: the type of a field is the type of the flag, its default is the default
(a field without one must be given), and its line in `Attributes:` is the help. So a setting is declared and
explained once.

Exit codes: 0 all good, 1 some inputs failed, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import logging
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from absl import flags

from ifrp_tf.core.errors import ConfigError, IfrpError, ModelError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a command reports its errors itself

HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}


def option(
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    repeated: bool = False,
    argument: str = "",
    positional: bool = False,
) -> Any:
    """A field of a `Request` whose flag has limits, or is given several times.

    Args:
        default: of the field; without one the flag must be given.
        low, high: limits of a number, inclusive.
        repeated: the flag of a tuple is given once for every part, instead of once with commas.
        argument: what the library calls it, where that is another name.
        positional: words without a flag are parts of it, too.
    """
    metadata = {
        "low": low,
        "high": high,
        "repeated": repeated,
        "argument": argument,
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata)


def explanations(kind: type) -> dict[str, str]:
    """The lines of `Attributes:` in the docstrings of a dataclass and of those that it extends, by field."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        names: list[str] = []
        for line in inspect.cleandoc(base.__doc__ or "").partition("Attributes:")[2].splitlines():
            if match := re.match(r" {4}(\w+(?:, \w+)*): (.*)", line):
                names = match[1].split(", ")
                found.update(dict.fromkeys(names, match[2]))
            elif line.startswith(" " * 8) and names:
                found.update({name: f"{found[name]} {line.strip()}" for name in names})
            elif line.strip():
                break
    return found


def define_flags(kind: type, values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines a flag for every field of a dataclass.

    Args:
        kind: a dataclass of strings, numbers, booleans, choices (`Literal`) and tuples of strings.
        values: where the flags are defined.

    Raises:
        TypeError: a field has another type or no explanation.
    """
    hints, told = typing.get_type_hints(kind), explanations(kind)
    for field in dataclasses.fields(kind):
        if field.name not in told:
            raise TypeError(f"Expected a line for {field.name} in the docstring of {kind.__qualname__}.")
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        _define(field, hints[field.name], default, told[field.name], {"flag_values": values}, required)


def _define(
    field: dataclasses.Field, hint: Any, default: Any, told: str, options: dict[str, Any], required: bool
) -> None:
    if isinstance(hint, types.UnionType):  # `int | None`: no number given
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    limits: dict[str, Any] = {
        "lower_bound": field.metadata.get("low"),
        "upper_bound": field.metadata.get("high"),
    }
    if typing.get_origin(hint) is Literal:
        flags.DEFINE_enum(
            field.name, default, list(typing.get_args(hint)), told, required=required, **options
        )
    elif typing.get_origin(hint) is tuple:
        define = flags.DEFINE_multi_string if field.metadata.get("repeated") else flags.DEFINE_list
        define(field.name, None if required else list(default), told, required=required, **options)
    elif hint is bool:
        flags.DEFINE_boolean(field.name, default, told, required=required, **options)
    elif hint is int:
        flags.DEFINE_integer(field.name, default, told, required=required, **limits, **options)
    elif hint is float:
        flags.DEFINE_float(field.name, default, told, required=required, **limits, **options)
    elif hint is str:
        flags.DEFINE_string(field.name, default, told, required=required, **options)
    else:
        raise TypeError(f"Expected a type that flags have for {field.name}. Received: {hint}.")


def request_from(kind: type, values: flags.FlagValues = flags.FLAGS) -> Any:
    """The dataclass that parsed flags describe.

    Raises:
        ConfigError: whatever the dataclass refuses.
    """
    given = {}
    for field in dataclasses.fields(kind):
        value = values[field.name].value
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**given)


def main(name: str, arguments: Sequence[str] | None = None, *, program: str = "") -> None:
    """Runs a command with the arguments of the process, and exits with its code.

    Its flags are its own: several commands may be run in one process, one after the other.

    Args:
        name: of the command, a module of `ifrp_tf.cli`.
        arguments: in place of those of the process, without the program's name.
        program: what the program is called in messages.
    """
    module = importlib.import_module(f"ifrp_tf.cli.{name}")
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.argv = [program or sys.argv[0], *given]
    values = flags.FlagValues()
    define_flags(module.Request, values)
    more = next(
        (each.name for each in dataclasses.fields(module.Request) if each.metadata.get("positional")), ""
    )
    names = flag_names(module.Request)
    run = lambda: module.run(request_from(module.Request, values))  # noqa: E731
    launch(run, module.__doc__ or "", __name__, names, more, values)


def flag_names(kind: type) -> dict[str, str]:
    """The flag for each argument of the library that a `Request` passes on."""
    return {field.metadata.get("argument") or field.name: field.name for field in dataclasses.fields(kind)}


def as_flags(message: str, names: Mapping[str, str]) -> str:
    """What the library says of its arguments, which it writes `so` or `so=value`, in terms of flags.

    Args:
        message: of an error.
        names: the flag of each argument; what is not in it stays as it is.

    Example:
        >>> as_flags("Expected `boxes` with `faces=auto`, not `None`.", {"boxes": "box", "faces": "faces"})
        'Expected --box with --faces=auto, not `None`.'
    """
    return re.sub(
        r"`(\w+)(=[^`]*)?`",
        lambda found: f"--{names[found[1]]}{found[2] or ''}" if found[1] in names else found[0],
        message,
    )


def launch(
    run: Callable[[], int],
    description: str,
    flags_of: str = "",
    names: Mapping[str, str] | None = None,
    positional: str = "",
    values: flags.FlagValues = flags.FLAGS,
) -> None:
    """Runs `run` after parsing the command line, and exits with its code.

    Args:
        run: does the work; flags are parsed when it is called.
        description: for `--help`.
        flags_of: the module whose flags `--help` lists; the main module by default.
        names: the flag of each argument of the library, for its errors.
        positional: the flag to which words without a flag are added; empty where there may be none.
        values: where the flags are defined.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(run, description, flags_of, names or {}, positional, values)
        if sys.stdout is not None:  # closed from the start
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _run(
    run: Callable[[], int],
    description: str,
    flags_of: str,
    names: Mapping[str, str],
    positional: str,
    values: flags.FlagValues,
) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if HELP & set(sys.argv[1:]):
        listed = values.module_help(flags_of) if flags_of else values.main_module_help()
        print(f"{description.strip()}\n{listed}")
        return 0
    try:
        extra = values(sys.argv)[1:]
        if extra and positional:
            values[positional].value = [*(values[positional].value or ()), *extra]
        elif extra:
            raise ConfigError(f"Expected flags only. Received: {' '.join(extra)}.", hint="See --help.")
        return run()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except flags.Error as error:
        return _fail(f"{error} See --help.", 2)
    except BrokenPipeError:
        raise
    except (IfrpError, OSError) as error:  # OSError: such as a full disk while training
        code = 2 if isinstance(error, ConfigError) else 3 if isinstance(error, ModelError) else 1
        return _fail(as_flags(str(error), names or {name: name for name in values}), code)
    except Exception as error:
        if not _out_of_memory(error):
            raise
        first = (str(error).splitlines() or ["none is left."])[0]
        hint = "Take fewer pictures at a time; for training a smaller --set=train.batch_size."
        return _fail(f"Not enough memory: {first} {hint}", 1)


def _out_of_memory(error: Exception) -> bool:  # by name: neither TensorFlow nor JAX is imported here
    known = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return known or str(error).startswith("RESOURCE_EXHAUSTED")


def _fail(words: object, code: int) -> int:
    print(f"{Path(sys.argv[0]).name}: {' '.join(str(words).split())}", file=sys.stderr)
    return code
