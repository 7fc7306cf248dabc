"""Text files and inline texts to normalised text."""

import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import BinaryIO

from processors.decode.limits import Limits
from processors.errors import ContentError, Reason
from processors.media import Characters, Piece, Text, View

__all__ = ["decode_text", "inline_text"]

_MAX_COMBINING = 30  # marks on one letter, as in Unicode's Stream-Safe Text Format (UAX #15, section 13)
_LONG_RUN = re.compile(rf"\W{{{_MAX_COMBINING + 1},}}")
_NEWLINES = re.compile("\r\n?|\x85")
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)])


def decode_text(source: BinaryIO, views: frozenset[View], limits: Limits) -> Iterator[tuple[View, Piece]]:
    """One Text for each view (each must be Characters) of a file in UTF-8, or in UTF-16 if it begins with a byte order mark.

    The text is in normalisation form C, with "\\n" as the only line end and no other control character but the tab, at most 30
    combining marks in a row, and cut to the view's max_characters.

    Raises ContentError: UNDECODABLE (another encoding), UNSUPPORTED_FORMAT (it has NUL), LIMIT_EXCEEDED (limits.max_text_bytes).
    """
    data = source.read(limits.max_text_bytes + 1)
    if len(data) > limits.max_text_bytes:
        raise ContentError(
            Reason.LIMIT_EXCEEDED, f"The text file has more than {limits.max_text_bytes} bytes; publish a shorter one"
        )
    value = _decoded(data)
    if "\0" in value:
        raise ContentError(Reason.UNSUPPORTED_FORMAT, "The file contains NUL, so it is binary or UTF-32; save it as UTF-8 text")
    yield from _cut(value, None, views)


def inline_text(value: str, language: str | None, views: frozenset[View]) -> Iterator[tuple[View, Piece]]:
    """One Text for each view (each must be Characters) of a text out of an event, normalised as decode_text does.

    Raises ContentError(UNDECODABLE) if value contains surrogates, which are no characters.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ContentError(Reason.UNDECODABLE, f"The text contains a lone surrogate at character {error.start}") from error
    yield from _cut(value, language, views)


def _decoded(data: bytes) -> str:
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding, data = "utf-8", data.removeprefix(BOM_UTF8)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        detail = f"The text is not {encoding.upper()}: {error.reason} at byte {error.start}; save it as UTF-8"
        raise ContentError(Reason.UNDECODABLE, detail) from error


def _cut(value: str, language: str | None, views: frozenset[View]) -> Iterator[tuple[View, Piece]]:
    for view in views:
        if not isinstance(view, Characters):
            raise TypeError(f"A text gives Characters only, not {view}; plan features by the kind of the asset")
        yield view, Text(_normalised(value[: view.max_characters])[: view.max_characters], language)


def _normalised(value: str) -> str:
    lines = _NEWLINES.sub("\n", value.removeprefix("\ufeff")).translate(_CONTROLS)
    return lines if lines.isascii() else unicodedata.normalize("NFC", _LONG_RUN.sub(_fewer_marks, lines))


def _fewer_marks(run: re.Match[str]) -> str:
    """Sorting the marks of one letter takes their number squared: half a megabyte of them would take minutes."""
    kept: list[str] = []
    marks = 0
    for character in run.group():
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_COMBINING:
            kept.append(character)
    return "".join(kept)
