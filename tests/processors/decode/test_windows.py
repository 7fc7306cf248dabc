"""The pass over one asset: views, features that end alone, kinds."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pytest

from processors.decode import image
from processors.decode.limits import Limits
from processors.decode.windows import MAX_WINDOW_BYTES, windows
from processors.errors import ContentError, PermanentError, Reason
from processors.media import Characters, MissingStream, Picture, Piece, Text, View
from processors.signal import Feature, Window
from schemas.records import MediaKind, TextField


@dataclass(frozen=True)
class Length:
    """One window with each text's length, one more at the end; fails with `error` at `fails_at` (start, push or finish)."""

    max_characters: int = 100
    fails_at: str = ""
    error: Any = None

    @property
    def view(self) -> View:
        return Characters(self.max_characters)

    def start(self) -> "LengthStream":
        self.fail("start")
        return LengthStream(self)

    def fail(self, place: str) -> None:
        if place == self.fails_at:
            raise self.error


@dataclass
class LengthStream:
    feature: Length

    def push(self, piece: Piece) -> Iterator[Window]:
        assert isinstance(piece, Text)
        yield Window({"length": np.array([[len(piece.value)]])})
        self.feature.fail("push")

    def finish(self) -> Iterator[Window]:
        self.feature.fail("finish")
        yield Window({"length": np.array([[-1]])})


def lengths(text: str, *features: Feature) -> dict[Feature, list[int | PermanentError]]:
    found: dict[Feature, list[int | PermanentError]] = {feature: [] for feature in features}
    for feature, window in windows(TextField(name="t", value=text), MediaKind.TEXT, frozenset(features), Limits()):
        found[feature].append(window.tensors["length"].item() if isinstance(window, Window) else window)
    return found


def test_each_feature_gets_its_own_view() -> None:
    """Features with different views of one asset get different pieces; each is finished."""
    assert lengths("a text of some length", Length(100), Length(6)) == {Length(100): [21, -1], Length(6): [6, -1]}


@pytest.mark.parametrize(("place", "before"), [("start", 0), ("push", 1), ("finish", 1)])
def test_a_feature_that_fails_ends_alone(place: str, before: int) -> None:
    """Wherever a feature's code fails, its windows so far and then its error come, and its neighbour is complete."""
    error = ContentError(Reason.EMPTY_CONTENT, "nothing")
    broken = Length(fails_at=place, error=error)
    found = lengths("text", broken, Length())
    assert found == {broken: [4] * before + [error], Length(): [4, -1]}


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [(KeyError("x"), PermanentError, Reason.SIGNAL_CODE_FAILED), (MemoryError(), ContentError, Reason.LIMIT_EXCEEDED)],
)
def test_other_exceptions_of_a_feature_are_named(error: Exception, kind: type[PermanentError], reason: Reason) -> None:
    """A bug says its type and where it happened; memory that runs out is a limit."""
    broken = Length(fails_at="push", error=error)
    *_, told = lengths("text", broken)[broken]
    assert type(told) is kind
    assert told.reason is reason
    assert reason is Reason.LIMIT_EXCEEDED or "KeyError: 'x'" in told.detail
    assert reason is Reason.LIMIT_EXCEEDED or "test_windows.py" in told.detail


def test_decoding_ends_with_the_last_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that the file lacks ends its features as NO_SUCH_STREAM; when none is left, no further piece is decoded."""
    asked: list[int] = []

    def decode(source: BinaryIO, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
        yield Characters(100), MissingStream("The file has no words")
        asked.append(1)

    monkeypatch.setattr(image, "decode_image", decode)
    ((feature, error),) = windows(io.BytesIO(), MediaKind.IMAGE, frozenset({Length()}), Limits())
    assert feature == Length()
    assert isinstance(error, ContentError)
    assert (error.reason, error.detail) == (Reason.NO_SUCH_STREAM, "The file has no words")
    assert not asked


def test_errors_of_the_decoder_are_raised() -> None:
    """What cannot be decoded ends all features."""
    with pytest.raises(ContentError) as caught:
        list(windows(io.BytesIO(b"no picture"), MediaKind.IMAGE, frozenset({Seen()}), Limits()))
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_a_kind_without_decoder_is_refused() -> None:
    """An asset of unknown kind is told as such."""
    with pytest.raises(ContentError, match="UNKNOWN") as caught:
        list(windows(io.BytesIO(b""), MediaKind.UNKNOWN, frozenset({Length()}), Limits()))
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


@dataclass(frozen=True)
class Seen:
    """Gives the tensor that `makes` says."""

    makes: str = "zeros"

    @property
    def view(self) -> View:
        return Characters() if self.makes != "zeros" else Picture(8)

    def start(self) -> "Seen":
        return self

    def push(self, piece: Piece) -> list[Window]:
        if self.makes == "objects":
            return [Window({"t": np.array([b"x"], object)})]
        return [Window({"t": np.broadcast_to(np.uint8(0), (1, MAX_WINDOW_BYTES + 1))})]

    def finish(self) -> list[Window]:
        return []


@pytest.mark.parametrize("makes", ["objects", "large"])
def test_windows_that_cannot_travel_are_the_features_mistake(makes: str) -> None:
    """Tensors of Python objects, and windows beyond the largest size, end the feature."""
    feature = Seen(makes)
    ((_, error),) = windows(TextField(name="t", value="x"), MediaKind.TEXT, frozenset({feature}), Limits())
    assert isinstance(error, PermanentError)
    assert error.reason is Reason.SIGNAL_CODE_FAILED
