"""The client of a served model: picture in, recovered face out; gRPC or REST, retries, deadlines.

Needs neither TensorFlow nor Keras.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from ifrp_tf.client.rest import RestTransport
from ifrp_tf.client.wire import (
    MAX_MESSAGE,
    MAX_PICTURE,
    OVERHEAD,
    PATIENCE,
    ModelInfo,
    RemoteError,
    RemoteFace,
    RemotePicture,
    Transport,
    bad_answer,
    parse_address,
)
from ifrp_tf.core.errors import ConfigError, IfrpError, ImageError
from ifrp_tf.core.files import read_bytes
from ifrp_tf.pictures import images
from ifrp_tf.pictures.decoding import describe_array
from ifrp_tf.pictures.images import Source

__all__ = ["Client", "ModelInfo", "RemoteError", "RemoteFace", "RemotePicture"]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Patience:
    """One deadline over a question and all its repetitions.

    Only `UNAVAILABLE` is repeated: nothing listens, or the server is full. Whatever else went wrong would go
    wrong again, or has cost the server its time already. Pauses double, from half to one and a half times
    `first_pause`, so that many clients do not come back at once.

    Args:
        timeout: seconds in all.
        retries: how often a question is repeated at most.
        jitter: numbers in [0, 1).
        first_pause: seconds.
        longest_pause: seconds; a server that asks for a longer one gets it, if the deadline allows.

    Example:
        >>> Patience(timeout=5.0, retries=3).ask(lambda left: left > 4.9)
        True
    """

    timeout: float
    retries: int
    jitter: Callable[[], float] = random.random
    first_pause: float = 0.1
    longest_pause: float = 5.0

    def ask(self, question: Callable[[float], _Answer]) -> _Answer:
        """The answer to a question.

        Args:
            question: takes the seconds that are left; raises `RemoteError`.

        Raises:
            RemoteError: the last one, if no repetition is left or would be in time.
        """
        end = time.monotonic() + self.timeout
        attempt = 0
        while True:
            try:
                return question(max(0.001, end - time.monotonic()))
            except RemoteError as error:
                pause = self.pause(attempt, error.wait_s)
                is_late = time.monotonic() + pause >= end
                if error.code != "UNAVAILABLE" or attempt == self.retries or is_late:
                    raise
            time.sleep(pause)
            attempt += 1

    def pause(self, attempt: int, wait_s: float = 0.0) -> float:
        """Seconds between an attempt, counted from 0, and the next; at least what the server asked for."""
        doubled = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30))
        return max(wait_s, doubled * (0.5 + self.jitter()))


class Client:
    """A model on a server. May be used from several threads; close it, or use it in a `with` statement.

    Plain text goes over the network unless `tls` is set: keep a server without TLS on its own machine or
    behind a proxy. Proxies named in the environment are not used.

    Args:
        address: `HOST:PORT`.
        model: the name under which the server serves it.
        protocol: `grpc` (faster) or `rest`.
        version: of the model; None for the one that the server chooses, its newest.
        timeout: seconds for one request with all its retries; four times as many for a whole picture.
        retries: how often a request is repeated that is turned away or finds no server (`UNAVAILABLE`; HTTP
            429 and 503), after growing pauses. Nothing else is repeated.
        batch: the most pictures in a request; fewer where the size of messages asks for it.
        tls: False for plain text; True for TLS; a path for TLS with the certificates in that PEM file.
        jitter: numbers in [0, 1) that spread retries of many clients over time.

    Raises:
        ConfigError: an argument cannot be used. Nothing is sent before the first question.

    Example:
        >>> with Client("localhost:8500") as client:  # doctest: +SKIP
        ...     photo = client.recover("portrait.jpg")
    """

    def __init__(
        self,
        address: str,
        model: str = "ifrp",
        protocol: str = "grpc",
        version: int | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        batch: int = 32,
        tls: bool | str | Path = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        parse_address(address)
        _check(model != "" and len(model) <= 255, "a name for model", model)
        _check(protocol in ("grpc", "rest"), "protocol to be grpc or rest", protocol)
        _check(version is None or version >= 0, "version to be at least 0", version)
        _check(0 < timeout <= 86_400, "timeout to be seconds, at most a day", timeout)
        _check(retries >= 0, "retries to be at least 0", retries)
        _check(batch >= 1, "batch to be at least 1", batch)
        self.address, self.model, self.version = address, model, version
        self._patience, self._batch = Patience(timeout, retries, jitter), batch
        self._transport = _transport(address, model, protocol, tls)
        self._info: ModelInfo | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def metadata(self) -> ModelInfo:
        """What the served model says of itself; asked in every call.

        Raises:
            RemoteError: there is no server, no such model, or it is not one of this package.
        """
        self._info = self._ask(lambda left: self._transport.metadata(self.version, left))
        return self._info

    def status(self) -> dict[int, str]:
        """The state of every version of the model on the server, such as `{1: "AVAILABLE"}`.

        Raises:
            RemoteError: there is no server or no such model.
        """
        return self._patience.ask(self._transport.status)

    @property
    def side(self) -> int:
        """Of the model's pictures, pixels; the server is asked once."""
        return (self._info or self.metadata()).side

    def recover(
        self, pictures: Source | Sequence[Source], attributes: np.ndarray | None = None
    ) -> np.ndarray:
        """Recovers the face of one portrait, or of each of several.

        Args:
            pictures: a path, the bytes of a file, an open file, a Pillow image or an array uint8 [H, W, 3]; a
                list of these; or a batch uint8 [N, side, side, 3]. Portraits of any size are letterboxed
                (`images.letterbox`).
            attributes: what a model of the system afrp is told of the sitters, [A] from -1 to 1
                (`data.attributes.NAMES`, `data.attributes.parse`).

        Returns:
            uint8 [side, side, 3], or [N, side, side, 3] for several.

        Raises:
            ImageError: a portrait cannot be used; for a list the message says which.
            RemoteError: the server gave no usable answer.
        """
        if isinstance(pictures, np.ndarray) and pictures.ndim == 4:
            self._check_batch(pictures)
        elif not isinstance(pictures, list | tuple):
            return _raise_or_return(next(self.recover_each([cast(Source, pictures)], attributes)))
        answers = np.empty((len(pictures), self.side, self.side, 3), np.uint8)
        for index, answer in enumerate(self.recover_each(pictures, attributes)):
            answers[index] = _raise_or_return(answer, f"Picture {index}: ")
        return answers

    def recover_picture(self, picture: Source, **options: Any) -> RemotePicture:
        """Has the server find the faces of a whole picture and recover each; only tools/serve.py can.

        Args:
            picture: as in `recover`, one; a file is sent as it is, of any kind that the server reads.
            **options: fields of `recovery.recoverer.Options`, such as `paste=True` or `boxes=[[x, y, w, h]]`.

        Returns:
            The faces and where they are, and the picture with them where that was asked for.

        Raises:
            ImageError: the file cannot be read, or is longer than `MAX_PICTURE`.
            RemoteError: the server gave no usable answer, or has no such signature.

        Example:
            >>> [face.box for face in client.recover_picture("group.jpg").faces]  # doctest: +SKIP
        """
        most = MAX_PICTURE - OVERHEAD
        if isinstance(picture, str | Path):
            data = read_bytes(picture, most)
        else:
            data = picture if isinstance(picture, bytes) else images.encode_png(images.take(picture).pixels)
        if len(data) > most:
            raise ImageError("too_large", f"Expected at most {most:,} bytes. Received: {len(data):,}.")
        text = json.dumps(options).encode()
        patience = replace(self._patience, timeout=PATIENCE * self._patience.timeout)
        found = self._ask(lambda left: self._transport.picture(data, text, self.version, left), patience)
        return _remote_picture(found)

    def recover_batch(self, portraits: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        """Recovers a batch, all or nothing, in as many requests as the size of messages asks for.

        Args:
            portraits: uint8 [N, side, side, 3], 0-255; N may be 0.
            attributes: as in `recover`, or [N, A].

        Returns:
            uint8 [N, side, side, 3].

        Raises:
            ImageError: with reason `bad_array`: another type or shape.
            ConfigError: the model cannot be told these attributes.
            RemoteError: the server gave no usable answer; where its `is_about_pictures` is set, others of
                the portraits may get one.
        """
        self._check_batch(portraits)
        answers = np.empty_like(portraits)
        told, count = self._vectors(attributes, len(portraits)), self._count(attributes is not None)
        for start in range(0, len(portraits), count):
            rows = slice(start, start + count)
            answers[rows] = self._predict(portraits[rows], None if told is None else told[rows])
        return answers

    def recover_each(
        self, pictures: Iterable[Source], attributes: np.ndarray | None = None
    ) -> Iterator[np.ndarray | IfrpError]:
        """Recovers portraits one after the other, as many as there are; a bad one costs only itself.

        Where the server refuses a request because of what is in it, it is asked again for each half, and so
        on down to the picture that it cannot answer.

        Args:
            pictures: as in `recover`, of any number.
            attributes: as in `recover`.

        Yields:
            For every picture, in order, uint8 [side, side, 3] or the error that it met.

        Raises:
            RemoteError: no picture can be answered: there is no server, no such model, no time.
        """
        source = iter(pictures)
        while chunk := list(islice(source, self._count(attributes is not None))):
            prepared = [self._prepare(picture) for picture in chunk]
            portraits = [one for one in prepared if isinstance(one, np.ndarray)]
            answers = iter(self._bisect(np.stack(portraits), attributes) if portraits else ())
            for one in prepared:
                yield next(answers) if isinstance(one, np.ndarray) else one

    def _count(self, in_numbers: bool = False) -> int:
        """Pictures in a request: an answer may take two bytes for every level, and six as JSON numbers."""
        each = (6 if in_numbers else 2) * 3 * self.side**2
        return max(1, min(self._batch, (MAX_MESSAGE - OVERHEAD) // each))

    def _vectors(self, attributes: np.ndarray | None, count: int) -> np.ndarray | None:
        """Attributes of so many pictures, float32 [count, A]."""
        if attributes is None:
            return None
        known = (self._info or self.metadata()).attributes
        vectors = np.asarray(attributes, np.float32)
        expected = "a model that is told attributes" if not known else f"{known} attributes from -1 to 1"
        fits = vectors.shape in ((known,), (count, known)) and bool((np.abs(vectors) <= 1).all())
        _check(known > 0 and fits, expected, f"{self.model}, attributes {list(vectors.shape)}")
        return np.broadcast_to(vectors, (count, known))

    def _check_batch(self, portraits: np.ndarray) -> None:
        shape = (self.side, self.side, 3)
        if (
            not isinstance(portraits, np.ndarray)
            or portraits.dtype != np.uint8
            or portraits.shape[1:] != shape
        ):
            words = f"Expected a batch uint8 {['N', *shape]}. Received: {describe_array(portraits)}."
            raise ImageError("bad_array", words.replace("'", ""))

    def _prepare(self, picture: Source) -> np.ndarray | ImageError:
        try:
            return images.letterbox(images.take(picture).pixels, self.side)
        except ImageError as error:
            return error

    def _bisect(
        self, portraits: np.ndarray, attributes: np.ndarray | None = None
    ) -> list[np.ndarray | IfrpError]:
        try:
            return list(self._predict(portraits, self._vectors(attributes, len(portraits))))
        except RemoteError as error:
            if not error.is_about_pictures:
                raise
            if len(portraits) == 1:
                return [error]
        half = len(portraits) // 2
        return self._bisect(portraits[:half], attributes) + self._bisect(portraits[half:], attributes)

    def _predict(self, portraits: np.ndarray, attributes: np.ndarray | None = None) -> np.ndarray:
        return self._ask(lambda left: self._transport.predict(portraits, self.version, left, attributes))

    def _ask(self, question: Callable[[float], _Answer], patience: Patience | None = None) -> _Answer:
        try:
            return (patience or self._patience).ask(question)
        except RemoteError as error:
            if error.code not in ("NOT_FOUND", "FAILED_PRECONDITION"):
                raise
            hint = f"No model {self.model!r} is served there: compare the name with the server's."
            with contextlib.suppress(RemoteError):  # what there is instead
                states = self._transport.status(min(self._patience.timeout, 5.0))
                hint = f"Of {self.model!r} there are the versions {states}."
            raise RemoteError(error.code, error.message, hint=hint) from error


def _fours(numbers: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    values = iter(float(number) for number in numbers)
    return zip(values, values, values, values, strict=True)


def _remote_picture(found: dict[str, list[Any]]) -> RemotePicture:
    try:
        boxes, places = (_fours(found[name]) for name in ("box", "place"))
        columns = (found[name] for name in ("photo_bytes", "score", "found_by", "reason"))
        faces = tuple(
            RemoteFace(
                images.read(photo).pixels if photo else None,
                next(boxes),
                next(places),
                float(score),
                found_by.decode(),
                reason.decode(),
            )
            for photo, score, found_by, reason in zip(*columns, strict=True)
        )
        (pasted,) = found["pasted_bytes"]
        return RemotePicture(faces, bytes(pasted), tuple(note.decode() for note in found["notes"]))
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration, ImageError) as error:
        received = f"{sorted(found)}: {error}"
        raise bad_answer("the outputs of recover_picture", received[:300]) from error


def _transport(address: str, model: str, protocol: str, tls: bool | str | Path) -> Transport:
    if protocol == "rest":
        return RestTransport(address, model, tls)
    from ifrp_tf.client.grpc import GrpcTransport  # late: REST needs no grpcio

    return GrpcTransport(address, model, tls)


def _check(is_good: bool, expected: str, received: object) -> None:
    if not is_good:
        raise ConfigError(f"Expected {expected}. Received: {received!r}.")


def _raise_or_return(answer: np.ndarray | IfrpError, words: str = "") -> np.ndarray:
    if isinstance(answer, IfrpError):
        answer.message = f"{words}{answer.message}"
        raise answer
    return answer
