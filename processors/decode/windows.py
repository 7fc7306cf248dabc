"""One pass over one asset: decoder → pieces → feature streams → windows. What runs inside a decode process.

Each view is decoded once, however many features want it. A feature that fails ends alone; the others go on.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from processors.decode.limits import Limits
from processors.errors import ContentError, PermanentError, Reason
from processors.media import MissingStream, Piece, View
from processors.signal import Feature, FeatureStream, Window
from schemas.records import MediaKind, TextField

__all__ = ["MAX_WINDOW_BYTES", "TENSOR_KINDS", "windows"]

MAX_WINDOW_BYTES = 256 * 1024**2
"""Largest window, all tensors together: what a worker sets aside for one is bounded by this, whatever a feature makes."""

TENSOR_KINDS = "biufcSU"
"""Kinds of dtype, as numpy letters them, that a window's tensors may have: those whose bytes say all."""


def windows(
    media: BinaryIO | TextField, kind: MediaKind, features: frozenset[Feature], limits: Limits
) -> Iterator[tuple[Feature, Window | PermanentError]]:
    """The windows of each feature, in order; those of several features interleave. An error is the last that comes of a feature.

    media: a file opened for reading and seeking, or a text out of an event.
    Errors of one feature: its own PermanentError; ContentError(NO_SUCH_STREAM) if the file has nothing for its view;
    ContentError(LIMIT_EXCEEDED) if its memory runs out; PermanentError(SIGNAL_CODE_FAILED) for whatever else its code raises.
    Raises what the decoder raises, ContentError as a rule: it ends all features.
    """
    courses = [_Course(feature) for feature in features]
    for view, piece in _pieces(media, kind, frozenset(course.view for course in courses), limits):
        for course in courses:
            if course.view == view and not course.ended:
                yield from course.push(piece)
        if all(course.ended for course in courses):
            return
    for course in courses:
        if not course.ended:
            yield from course.finish()


class _Course:
    """One feature on its way through one asset. `ended`: its error has come."""

    def __init__(self, feature: Feature) -> None:
        self.feature, self.view = feature, feature.view
        self.ended = False
        self._stream: FeatureStream | None = None

    def push(self, piece: Piece) -> Iterator[tuple[Feature, Window | PermanentError]]:
        return self._guarded(partial(self._pushed, piece))

    def finish(self) -> Iterator[tuple[Feature, Window | PermanentError]]:
        return self._guarded(lambda: self._started().finish())

    def _pushed(self, piece: Piece) -> Iterable[Window]:
        if isinstance(piece, MissingStream):
            raise ContentError(Reason.NO_SUCH_STREAM, piece.what)
        return self._started().push(piece)

    def _started(self) -> FeatureStream:
        self._stream = self._stream or self.feature.start()
        return self._stream

    def _guarded(self, work: Callable[[], Iterable[Window]]) -> Iterator[tuple[Feature, Window | PermanentError]]:
        """What the feature's code makes, then the error in which it ended, if it did."""
        try:
            for window in work():
                yield self.feature, _checked(window)
        except PermanentError as error:
            yield self._failed(error)
        except MemoryError:
            detail = (
                f"The asset needs more memory than a decode process has, in {self.feature}; raise SIGNALS_DECODE_MEMORY_BYTES"
            )
            yield self._failed(ContentError(Reason.LIMIT_EXCEEDED, detail))
        except Exception as bug:  # noqa: BLE001  a feature's own code must not take its neighbours along
            where = traceback.extract_tb(bug.__traceback__)[-1]
            detail = (
                f"The code of {self.feature} failed at {Path(where.filename).name}:{where.lineno}: {type(bug).__name__}: {bug}"
            )
            yield self._failed(PermanentError(Reason.SIGNAL_CODE_FAILED, detail[:500]))

    def _failed(self, error: PermanentError) -> tuple[Feature, PermanentError]:
        self.ended = True
        return self.feature, error


def _pieces(media: BinaryIO | TextField, kind: MediaKind, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
    """Codecs are imported when they are needed: a process that sees only texts loads none."""
    if isinstance(media, TextField):
        from processors.decode.text import inline_text

        return inline_text(media.value, media.language, views)
    match kind:
        case MediaKind.AUDIO | MediaKind.VIDEO:
            from processors.decode.av_container import decode_container as decode
        case MediaKind.IMAGE:
            from processors.decode.image import decode_image as decode
        case MediaKind.TEXT:
            from processors.decode.text import decode_text as decode
        case _:
            raise ContentError(
                Reason.UNSUPPORTED_FORMAT, f"There is no decoder for assets of kind {kind}; publish AUDIO, IMAGE, VIDEO or TEXT"
            )
    return decode(media, views, limits)


def _checked(window: Window) -> Window:
    for name, tensor in window.tensors.items():
        if tensor.dtype.kind not in TENSOR_KINDS:
            raise TypeError(f"tensor {name!r} is of dtype {tensor.dtype}; make it numbers, or strings of fixed size")
    total_bytes = sum(tensor.nbytes for tensor in window.tensors.values())
    if total_bytes > MAX_WINDOW_BYTES:
        raise ValueError(f"a window has {total_bytes} bytes, more than {MAX_WINDOW_BYTES}; make shorter windows")
    return window
