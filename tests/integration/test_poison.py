"""Records that nobody should have sent: the worker goes on, each of them has an outcome."""

from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from running import gather, running_worker

from cli.publish import text_event
from processors.catalogue import SIGNALS
from schemas.records import Status
from streams.provisioning import apply
from streams.publishing import EventWriter
from streams.settings import Settings

LARGE = 1_040_000  # near what a broker takes by default


@pytest.mark.timeout(200)
def test_the_stream_goes_on(settings: Settings, tmp_path: Path) -> None:
    """Neither key nor value, junk keys of 30 kB, values at the broker's limit, tombstones: all end, and the good events too."""
    odd = settings.model_copy(update={"group": "odd", "input_topic": "odd-input", "signals": "text.language"})
    signals = [signal for signal in SIGNALS if signal.name == "text.language"]
    admin = AdminClient({"bootstrap.servers": settings.kafka_brokers})
    for future in admin.create_topics([NewTopic("odd-input", 2, 1, config={"max.message.bytes": "2000000"})]).values():
        future.result()  # not compacted, so that it takes records without a key
    apply(odd, SIGNALS, partitions=2, replication=1)
    producer = Producer({"bootstrap.servers": settings.kafka_brokers, "message.max.bytes": 2_000_000})
    producer.produce("odd-input", None, None)
    producer.produce("odd-input", None, b"gone")
    producer.produce("odd-input", b"\xff" * 40, bytes(range(256)) * 120)
    producer.produce("odd-input", b"\x00" * LARGE, b"large")
    producer.produce("odd-input", b"\x00\x00\x00\x00\x01" + b"\x7f" * 100, b"body")
    producer.flush()
    writer = EventWriter(odd)
    for number in range(20):
        writer.write(text_event("Ein Satz auf Deutsch, der lang genug ist.", None, f"good-{number}", "t"))
    writer.flush()
    with running_worker(odd, tmp_path, SIGNALS_SIGNALS="text.language") as worker:
        contents = {f"good-{number}" for number in range(20)} | {"large", "body", "gone", ""}
        gathered = gather(odd, contents, 100, signals, worker)
        assert worker.process.poll() is None
    by_status: dict[str, set[Status]] = {content: set() for content in contents}
    for record in gathered.ledger:
        if record.content_id in by_status:
            by_status[record.content_id] |= {outcome.status for outcome in record.outcomes}
    assert by_status["gone"] == {Status.RETRACTED}
    assert by_status["large"] == by_status["body"] == by_status[""] == {Status.FAILED}
    assert all(by_status[f"good-{number}"] == {Status.OK} for number in range(20))
