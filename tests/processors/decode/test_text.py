"""Text files and inline texts become normalised text, or a ContentError."""

import contextlib
import io
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.decode.limits import Limits
from processors.decode.text import decode_text, inline_text
from processors.errors import ContentError, Reason
from processors.media import Characters, Picture, Text

WHOLE = Characters()
LIMITS = Limits(max_text_bytes=100_000)


def decoded(data: bytes, view: Characters = WHOLE) -> str:
    ((answered, text),) = decode_text(io.BytesIO(data), frozenset({view}), LIMITS)
    assert answered == view
    assert isinstance(text, Text)
    assert text.language is None
    return text.value


def inline(value: str, view: Characters = WHOLE) -> str:
    ((_, text),) = inline_text(value, "en", frozenset({view}))
    assert isinstance(text, Text)
    assert text.language == "en"
    return text.value


def reason_of(data: bytes) -> Reason:
    with pytest.raises(ContentError) as caught:
        decoded(data)
    return caught.value.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", ["Grüße aus Köln", "日本語の文章", "مرحبا", "🎉 party", ""])
def test_the_encodings_we_read(encoding: str, text: str) -> None:
    """UTF-8 with and without byte order mark, and UTF-16 with one, give the same text."""
    assert decoded(text.encode(encoding)) == text


def test_utf_16_of_the_other_byte_order() -> None:
    """The byte order mark decides, not the machine."""
    assert decoded(b"\xfe\xff" + "Köln".encode("utf-16-be")) == "Köln"
    assert decoded(b"\xff\xfe" + "Köln".encode("utf-16-le")) == "Köln"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("Köln".encode("latin-1"), Reason.UNDECODABLE),
        (b"\xff\xfea", Reason.UNDECODABLE),
        (b"\xff\xfe\x00\xd8", Reason.UNDECODABLE),
        (b"\xed\xa0\x80", Reason.UNDECODABLE),
        (b"\x00\x01\x02", Reason.UNSUPPORTED_FORMAT),
        ("text".encode("utf-32"), Reason.UNSUPPORTED_FORMAT),
        ("text".encode("utf-16-le"), Reason.UNSUPPORTED_FORMAT),
        (b"a" * 100_001, Reason.LIMIT_EXCEEDED),
    ],
)
def test_what_we_refuse(data: bytes, reason: Reason) -> None:
    """Other encodings, binary and oversize files are refused with their reason."""
    assert reason_of(data) is reason


def test_the_error_names_the_byte() -> None:
    """Who published the file can find the place."""
    with pytest.raises(ContentError, match=r"not UTF-8.*at byte 3"):
        decoded(b"abc\xff")


@pytest.mark.parametrize("read", [lambda text: decoded(text.encode()), inline])
def test_normalisation(read: object) -> None:
    """Form C, one kind of line end, no controls but newline and tab, no byte order mark; files and inline texts alike."""
    assert callable(read)
    assert read("Ko\u0308ln") == "Köln"
    assert read("a\r\nb\rc\x85d\te") == "a\nb\nc\nd\te"
    assert read("\ufeffa\x01\x1b[31m\x7f\x9fb") == "a[31mb"


def test_an_inline_text_loses_its_nul() -> None:
    """NUL in an event's text is a control character like others."""
    assert inline("a\0b") == "ab"


def test_surrogates_are_refused() -> None:
    """Half a character out of a broken producer is not text."""
    with pytest.raises(ContentError, match="surrogate at character 1"):
        inline("a\ud800")


def test_the_views_cut() -> None:
    """Each view gets as many characters as it asks for."""
    views = frozenset({Characters(max_characters=3), Characters(max_characters=5), Characters()})
    texts = dict(decode_text(io.BytesIO(b"abcdefg"), views, LIMITS))
    assert {view: text.value for view, text in texts.items() if isinstance(text, Text)} == {
        Characters(max_characters=3): "abc",
        Characters(max_characters=5): "abcde",
        Characters(): "abcdefg",
    }


def test_other_views_are_a_mistake_of_ours() -> None:
    """Asking a text for a picture is not the content's fault."""
    with pytest.raises(TypeError, match="Characters"):
        list(inline_text("a", None, frozenset({Picture(224)})))


def test_stacked_marks_take_no_time() -> None:
    """A letter with a hundred thousand marks, out of order, keeps thirty of them, quickly."""
    began = time.perf_counter()
    value = inline("a" + "\u0301\u0323" * 90_000 + "b")
    assert time.perf_counter() - began < 1.0
    assert value.endswith("b")
    assert len(unicodedata.normalize("NFD", value)) == 32


def test_long_runs_without_letters_are_kept() -> None:
    """Rules, dots and spaces are no marks."""
    assert inline("é" + "-" * 100 + " " * 50 + "…" * 40) == "é" + "-" * 100 + " " * 50 + "…" * 40


@given(st.text())
def test_any_text_is_normalised_once_and_for_all(value: str) -> None:
    """What comes out is in form C, has no control characters, and does not change when it goes through again."""
    once = inline(value)
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in once)
    assert inline("." + once) == unicodedata.normalize("NFC", "." + once)


@given(st.binary())
def test_any_bytes_give_a_text_or_a_content_error(data: bytes) -> None:
    """Nothing else comes out."""
    with contextlib.suppress(ContentError):
        assert "\0" not in decoded(data)
