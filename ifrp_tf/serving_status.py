"""What a served model answers when it does not answer: the codes of gRPC, and HTTP's for the same."""

from __future__ import annotations

import re

from ifrp_tf.errors import ServingError

HTTP = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 412,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status of the codes that occur here."""

MAX_MESSAGE = 1000
"""Longest message in characters: gRPC carries it in a header, and clients refuse long headers."""

# As in tf.errors and grpc.StatusCode; others become INTERNAL.
_NUMBERS = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    8: "RESOURCE_EXHAUSTED",
    12: "UNIMPLEMENTED",
    14: "UNAVAILABLE",
}


class Refusal(ServingError):
    """A request that is answered with an error.

    Args:
        code: one of the keys of `HTTP`, which are names of gRPC's status codes.
        message: what was expected, what was received.
        hint: one sentence saying what to do about it; may be empty.
        overloaded: refused only because there is too much to do: HTTP says 429 then, not 503.

    Example:
        >>> Refusal("NOT_FOUND", "No such model.").http
        404
    """

    def __init__(self, code: str, message: str, *, hint: str = "", overloaded: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.overloaded = overloaded

    @property
    def http(self) -> int:
        """HTTP status of the answer."""
        return 429 if self.overloaded else HTTP[self.code]

    @property
    def words(self) -> str:
        """Message and hint on one line, of `MAX_MESSAGE` characters at most."""
        words = " ".join(str(self).split())
        return words if len(words) <= MAX_MESSAGE else f"{words[: MAX_MESSAGE - 3]}..."


def refusal(error: BaseException) -> Refusal:
    """The refusal that stands for any error of a model: its code where it has one, else INTERNAL.

    Args:
        error: what running the model raised, such as a `tf.errors.OpError`.

    Returns:
        The error itself if it is a refusal; else one without traces of the graph in its message.
    """
    if isinstance(error, Refusal):
        return error
    code = _NUMBERS.get(getattr(error, "error_code", None) or 0, "INTERNAL")
    return Refusal(code, _plain(str(getattr(error, "message", "") or error)) or type(error).__name__)


def _plain(message: str) -> str:
    # A failed assertion inside a function: where it stands in the graph, then "assertion failed: [a] [b]".
    found = re.search(r"assertion failed: ((?:\[[^\n]*?\] ?)+)", message)
    if found:
        return " ".join(part.strip() for part in re.findall(r"\[(.*?)\](?= \[|\s*$)", found[1]))
    lines = [line.strip() for line in message.splitlines()]
    kept = [line for line in lines if line and not re.match(r"\[\[|Detected at|Graph execution|File ", line)]
    return " ".join(kept).split(" [[")[0].split(" [Op:")[0]
