"""The one error family of the package: whatever goes wrong at a boundary is an `IfrpError`.

A message says what was expected and what was received; the hint says what to do. Every class is also
the built-in exception a Python caller would expect, so `except ValueError` keeps working.
"""

from __future__ import annotations


class IfrpError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        message: What went wrong: what was expected, what was received.
        hint: One sentence saying what to do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ImageError(IfrpError, ValueError):
    """A picture cannot be used.

    Args:
        reason: A short stable code for reports, such as `"truncated"` or `"too_large"`.
        message: What went wrong: what was expected, what was received.
        hint: One sentence saying what to do about it; may be empty.
    """

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ConfigError(IfrpError, ValueError):
    """A setting, preset or flag is unknown, of the wrong type, out of range or contradictory."""


class DataError(IfrpError, ValueError):
    """A data set, weight archive or folder is missing, empty, incomplete or inconsistent."""


class ModelError(IfrpError, ValueError):
    """A model, checkpoint or run folder is missing, damaged or does not fit its configuration."""


class TrainingError(IfrpError, RuntimeError):
    """Training cannot go on: a loss is not finite, a variable gets no gradient."""


class ServingError(IfrpError, RuntimeError):
    """A served model did not answer, or answered something unusable."""
