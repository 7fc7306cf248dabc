"""The ceiling of a worker: the same Avro work and the same records, in a bare confluent-kafka loop.

consume(500) → decode each event → encode a signal and a ledger record → one transaction with the offsets. In order, one batch
after the other, nothing asynchronous, no out-of-order book, no lanes, no model, no decode process.

    python -m bench.bare_loop EVENTS
"""

import sys

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.waiting import waiting_signal
from processors.conclusion import Conclusion
from processors.signal import Signal
from schemas import subjects, wire
from schemas.records import Entry, Findings, Measure, Status
from streams import kafka_config
from streams.publication import Publication
from streams.record import Record
from streams.settings import Settings
from streams.startup import registered_schemas
from streams.transactions import Output

__all__ = ["run"]

BATCH = 500
CALL_SECONDS = 10.0


def run(settings: Settings, signal: Signal, events: int) -> None:
    """Works through so many events that wait on the input topic."""
    consumer, producer = Consumer(kafka_config.consumer(settings)), Producer(kafka_config.transactional_producer(settings))
    producer.init_transactions(CALL_SECONDS)
    publication = Publication(
        group=settings.group,
        worker="bare-loop",
        version="0",
        ledger_topic=settings.ledger_topic,
        schemas=registered_schemas(settings, [signal]),
        most_bytes=settings.max_record_bytes,
    )
    consumer.subscribe([settings.input_topic])
    done = 0
    while done < events:
        records = [Record.of(message) for message in consumer.consume(BATCH, 0.1) if not message.error()]
        if records:
            transact(consumer, producer, publication, signal, records)
            done += len(records)
    consumer.close()


def transact(consumer: Consumer, producer: Producer, publication: Publication, signal: Signal, records: list[Record]) -> None:
    producer.begin_transaction()
    for record in records:
        for output in outputs(publication, signal, record):
            producer.produce(output.topic, output.value, output.key, headers=output.headers)
    ends = {record.tp: record.offset + 1 for record in records}
    offsets = [TopicPartition(*tp, offset) for tp, offset in ends.items()]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), CALL_SECONDS)
    producer.commit_transaction(CALL_SECONDS)


def outputs(publication: Publication, signal: Signal, record: Record) -> list[Output]:
    schema = subjects.latest("content-published.v1")
    event = wire.content_published(wire.decode(record.value or b"", lambda _: schema, schema))
    findings = Findings(measures=(Measure(name="waited", value=0.0, unit="ms"),))
    entry = Entry(asset_id=event.texts[0].name, findings=findings)
    timings = {"fetch": 0, "understand": 0}
    conclusion = Conclusion(signal=signal, status=Status.OK, entries=(entry,), timings_ms=timings)
    return publication.of(record, "", event, [conclusion])


if __name__ == "__main__":
    run(Settings(), waiting_signal(), int(sys.argv[1]))
