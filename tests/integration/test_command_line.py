"""The verbs as a person meets them, on real servers and without them."""

import json
from pathlib import Path

import pytest
from running import ROOT, gather, running_worker, signals_command

from embedded.ports import free_ports
from streams.settings import Settings

SAMPLES = ROOT / "embedded/samples"


@pytest.fixture(scope="module")
def nowhere() -> Settings:
    """Settings under which nothing answers."""
    kafka, registry, triton = (f"127.0.0.1:{port}" for port in free_ports(3))
    return Settings(kafka_brokers=kafka, registry_url=f"http://{registry}", triton_urls=triton)


def one_sentence(stderr: str) -> str:
    """stderr without a traceback, as one line."""
    assert "Traceback" not in stderr, stderr
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "/no/such/file.mp3"], ["/no/such/file.mp3", "no such file"]),
        (["publish", str(ROOT / "Makefile")], ["Makefile", "--kind"]),
        (["show", "audio.colour"], ["audio.colour", "audio.loudness"]),
        (["tail", "--signal", "audio.colour"], ["audio.colour", "audio.loudness"]),
        (["worker", "--signals", "audio.colour"], ["audio.colour", "signals list"]),
        (["worker", "--signals", "video.tags"], ["video.tags", "video.shots"]),
    ],
)
def test_a_mistake_is_one_sentence(nowhere: Settings, arguments: list[str], said: list[str]) -> None:
    """What is wrong, with which value, what to do; no traceback; non-zero exit."""
    result = signals_command(nowhere, *arguments)
    sentence = one_sentence(result.stderr)
    assert result.returncode != 0
    assert all(part in sentence for part in said), sentence


@pytest.mark.parametrize("arguments", [["publish", str(SAMPLES / "espresso.jpg")], ["topics", "check"], ["tail"], ["worker"]])
def test_an_unreachable_broker_or_registry_is_one_sentence(nowhere: Settings, arguments: list[str]) -> None:
    """The address that does not answer stands in the sentence, with the setting to change or the verb to run."""
    result = signals_command(nowhere, *arguments)
    sentence = one_sentence(result.stderr)
    assert result.returncode != 0
    assert nowhere.kafka_brokers in sentence or nowhere.registry_url in sentence, sentence
    assert "SIGNALS_" in sentence or "signals " in sentence


def test_a_worker_without_triton_says_so(settings: Settings, nowhere: Settings) -> None:
    """A worker that finds no Triton ends with a sentence that names its address."""
    result = signals_command(settings, "worker", SIGNALS_TRITON_URLS=nowhere.triton_urls)
    assert result.returncode == 1
    assert nowhere.triton_urls in one_sentence(result.stderr)


def test_a_registry_without_schemas_says_so(settings: Settings, nowhere: Settings, tmp_path: Path) -> None:
    """A worker and a publisher that find no schema say which topic lacks it and which verb registers it."""
    from embedded.registry import Registry

    empty = Registry(tmp_path / "registry")
    empty.start()
    try:
        for arguments in (["worker"], ["publish", str(SAMPLES / "espresso.jpg")]):
            result = signals_command(settings, *arguments, SIGNALS_REGISTRY_URL=empty.url)
            sentence = one_sentence(result.stderr)
            assert result.returncode == 1
            assert "content-published.v1" in sentence
            assert "signals topics apply" in sentence
    finally:
        empty.stop()


def test_missing_topics_are_named(settings: Settings) -> None:
    """A worker of a group that nobody prepared says which topic is missing."""
    result = signals_command(settings, "worker", SIGNALS_GROUP="unprepared")
    assert result.returncode == 1
    assert "dlq.unprepared" in one_sentence(result.stderr)


def test_publish_then_tail(settings: Settings, tmp_path: Path) -> None:
    """A person's own text file, published and computed, is shown by tail; --json gives whole records."""
    note = tmp_path / "note.txt"
    note.write_text("Der Zug nach Köln fährt heute eine Stunde später.")
    published = signals_command(settings, "publish", str(note), "--content-id", "note", "--json")
    assert published.returncode == 0, published.stderr
    assert json.loads(published.stdout)["content_id"] == "note"
    with running_worker(settings, tmp_path) as worker:
        gather(settings, {"note"}, 60, worker=worker)
    tail = ["tail", "--content", "note", "--from-beginning", "--idle", "3"]
    lines = signals_command(settings, *tail).stdout
    assert "text.language" in lines
    assert "German" in lines or "de" in lines
    records = [json.loads(line) for line in signals_command(settings, *tail, "--json").stdout.splitlines()]
    assert {record["signal"] for record in records} == {"text.language", "text.embedding"}
    vector = next(record for record in records if record["signal"] == "text.embedding")["entries"][0]["findings"]["vector"]
    assert len(vector) == 384


def test_doctor_is_content_with_a_ready_stack(settings: Settings, nowhere: Settings) -> None:
    """All checks pass on ready servers; without them the exit code is 1 and each failing check has advice."""
    ready = signals_command(settings, "doctor", "--json")
    assert ready.returncode == 0, ready.stdout
    lost = signals_command(nowhere, "doctor", "--json")
    assert lost.returncode == 1
    assert {f["what"] for f in json.loads(lost.stdout) if not f["ok"]} >= {"Kafka", "Triton"}


def test_topics_check_knows_what_is_missing(settings: Settings) -> None:
    """Exit code 0 when all is there; for a new group 1, with the verb that mends it."""
    assert signals_command(settings, "topics", "check").returncode == 0
    missing = signals_command(settings, "topics", "check", SIGNALS_GROUP="fresh")
    assert missing.returncode == 1
    assert "signals topics apply" in missing.stderr


def test_models_check_agrees_live(settings: Settings) -> None:
    """Every signal's tensors agree with the running Triton."""
    result = signals_command(settings, "models", "check", "--live")
    assert result.returncode == 0, result.stdout
