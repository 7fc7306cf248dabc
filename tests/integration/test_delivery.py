"""Exactly once under kill -9: two workers, skewed work, out-of-order completion, on a real broker."""

import os
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import waiting_signals
from running import ROOT, Worker, environment, gather

from cli.demo import event_of_sample
from embedded import sample_media
from processors.catalogue import SIGNALS
from schemas.records import Asset, ContentPublished, MediaKind, Status, TextField
from streams.provisioning import apply
from streams.publishing import EventWriter
from streams.settings import Settings

WAITING, REAL = 1_960, 40
WITH = ["image.tags"]


def wait_ms(draw: float) -> int:
    """90 % short, 9 % ten times, 1 % a hundred times as long: uniform work hides the bugs of out-of-order commits."""
    return 10 if draw < 0.9 else 100 if draw < 0.99 else 1_000


def events() -> list[ContentPublished]:
    draws = random.Random(4)
    picture = next(
        asset for sample in map(event_of_sample, sample_media.load()) for asset in sample.assets if asset.kind is MediaKind.IMAGE
    )
    plain: dict[str, Any] = {"content_version": 1, "tenant": "tests", "published_at": datetime.now(UTC)}
    made = [
        ContentPublished(
            event_id=str(uuid4()),
            content_id=f"wait-{number:04}",
            texts=(TextField(name="text", value=f"wait {wait_ms(draws.random())} ms"),),
            **plain,
        )
        for number in range(WAITING)
    ]
    made += [
        ContentPublished(
            event_id=str(uuid4()),
            content_id=f"real-{number:04}",
            assets=(Asset(asset_id="main", kind=MediaKind.IMAGE, uri=picture.uri, sha256=picture.sha256),),
            **plain,
        )
        for number in range(REAL)
    ]
    draws.shuffle(made)
    return made


def start(settings: Settings, folder: Path, number: int) -> Worker:
    env = environment(settings, WAITING_WITH=",".join(WITH), SIGNALS_DECODERS="1")
    return Worker([sys.executable, str(ROOT / "tests/waiting_worker.py")], env, folder / f"worker-{number}.log")


@pytest.mark.timeout(300)
def test_kill_9_of_one_of_two_workers_loses_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    """2,000 events, two workers of 32 in flight, one killed and replaced three times: lost 0, copies 0, each outcome once."""
    signals = [waiting_signals.SIGNAL, *(signal for signal in SIGNALS if signal.name in WITH)]
    apply(settings, signals, partitions=8, replication=1)
    workers = [start(settings, tmp_path, number) for number in range(2)]
    published = events()
    writer = EventWriter(settings)
    for event in published:
        writer.write(event)
    writer.flush()
    try:
        for number in range(2, 5):
            progress_since(settings, signals, 150)
            workers[number % 2].kill()
            workers[number % 2] = start(settings, tmp_path, number)
        gathered = gather(settings, {event.content_id for event in published}, 150, signals, settle_seconds=3.0)
    finally:
        for worker in workers:
            worker.kill()
    copies = [key for key, count in Counter((r.signal_id, r.run_id) for r in gathered.signals).items() if count > 1]
    ledger_copies = [key for key, count in Counter(r.run_id for r in gathered.ledger).items() if count > 1]
    assert (copies, ledger_copies) == ([], [])
    assert len(gathered.ledger) == len(published) == WAITING + REAL
    assert len(gathered.signals) == len(published)
    statuses = Counter(outcome.status for record in gathered.ledger for outcome in record.outcomes)
    assert statuses == {Status.OK: WAITING + REAL, Status.SKIPPED: WAITING + REAL}


def progress_since(settings: Settings, signals: list[object], records: int) -> None:
    """Waits until the workers have published so many more ledger records: a kill hits them in the middle of work."""
    from streams.following import Follower

    follower = Follower(settings, [], ledger=True)
    seen, deadline = 0, time.monotonic() + 60
    for followed in follower.records():
        seen += followed is not None
        if seen >= records:
            break
        assert time.monotonic() < deadline, f"only {seen} of {records} events within a minute"
    follower.close()
    time.sleep(random.Random(os.getpid() + records).random() / 4)
