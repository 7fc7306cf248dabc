"""Exactly once under kill -9: two workers, skewed work, out-of-order completion, on a real broker."""

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import waiting_signals
from running import ROOT, Gathered, Worker, environment, gather, signals_command

from cli.demo import event_of_sample
from embedded import sample_media
from processors.catalogue import SIGNALS
from schemas.records import Asset, ContentPublished, MediaKind, Status, TextField
from streams.provisioning import apply
from streams.publishing import EventWriter
from streams.settings import Settings

WAITING, REAL = 1_960, 40
SETTLE_SECONDS = 3.0
STOPPED_SECONDS = 9.0  # longer than the session (6 s) and the transaction time-out (5 s)
WITH = ["image.tags"]


def wait_ms(draw: float) -> int:
    """90 % short, 9 % ten times, 1 % a hundred times as long: uniform work hides the bugs of out-of-order commits."""
    return 10 if draw < 0.9 else 100 if draw < 0.99 else 1_000


def events(waiting: int, real: int, prefix: str) -> list[ContentPublished]:
    draws = random.Random(4)
    picture = next(
        asset for sample in map(event_of_sample, sample_media.load()) for asset in sample.assets if asset.kind is MediaKind.IMAGE
    )
    plain: dict[str, Any] = {"content_version": 1, "tenant": "tests", "published_at": datetime.now(UTC)}
    made = [
        ContentPublished(
            event_id=str(uuid4()),
            content_id=f"{prefix}-wait-{number:04}",
            texts=(TextField(name="text", value=f"wait {wait_ms(draws.random())} ms"),),
            **plain,
        )
        for number in range(waiting)
    ]
    made += [
        ContentPublished(
            event_id=str(uuid4()),
            content_id=f"{prefix}-real-{number:04}",
            assets=(Asset(asset_id="main", kind=MediaKind.IMAGE, uri=picture.uri, sha256=picture.sha256),),
            **plain,
        )
        for number in range(real)
    ]
    draws.shuffle(made)
    return made


def start(settings: Settings, folder: Path, number: int, **more: str) -> Worker:
    env = environment(settings, WAITING_WITH=",".join(WITH), SIGNALS_DECODERS="1", **more)
    return Worker([sys.executable, str(ROOT / "tests/waiting_worker.py")], env, folder / f"worker-{number}.log")


@pytest.mark.timeout(300)
def test_kill_9_of_one_of_two_workers_loses_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    """2,000 events, two workers of 32 in flight, one killed and replaced three times: lost 0, copies 0, each outcome once."""
    signals = [waiting_signals.SIGNAL, *(real for real in SIGNALS if real.name in WITH)]
    apply(settings, signals, partitions=8, replication=1)
    workers = [start(settings, tmp_path, number) for number in range(2)]
    published = events(WAITING, REAL, "kill")
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
    assert_exactly_once(gathered, published)
    audited = signals_command(settings, "audit", "--json")
    report = json.loads(audited.stdout)
    assert audited.returncode == 0, report
    assert (report["events"], report["unfinished"], report["missing"], report["copies"]) == (len(published), 0, 0, 0)


@pytest.mark.timeout(300)
def test_a_worker_that_stood_still_in_a_transaction_neither_loses_nor_doubles(settings: Settings, tmp_path: Path) -> None:
    """SIGSTOP after produce, past session and transaction time-out, then SIGCONT: the zombie is fenced, and works on."""
    signals = [waiting_signals.SIGNAL, *(real for real in SIGNALS if real.name in WITH)]
    group = settings.model_copy(update={"group": "stopped", "input_topic": "stopped-input"})
    apply(group, signals, partitions=8, replication=1)
    published = events(600, 0, "stop")
    writer = EventWriter(group)
    for event in published:
        writer.write(event)
    writer.flush()
    frozen = start(group, tmp_path, 0, FAIL_AT="produced:STOP:#3")
    wait_until_stopped(frozen)
    other = start(group, tmp_path, 1)
    thaw = threading.Timer(STOPPED_SECONDS, frozen.process.send_signal, [signal.SIGCONT])
    thaw.start()
    try:
        gathered = gather(group, {event.content_id for event in published}, 150, signals, settle_seconds=3.0)
        thaw.join()
        time.sleep(SETTLE_SECONDS)
        assert frozen.process.poll() is None, frozen.text()[-2000:]
        assert "transaction failed" in frozen.text()
    finally:
        thaw.cancel()
        for worker in (frozen, other):
            worker.kill()
    assert_exactly_once(gathered, published)


def assert_exactly_once(gathered: Gathered, published: list[ContentPublished]) -> None:
    """Lost 0, copies 0, one outcome for each (event, signal)."""
    ids = {event.content_id for event in published}
    signals = [record for record in gathered.signals if record.content_id in ids]
    ledger = [record for record in gathered.ledger if record.content_id in ids]
    copies = [key for key, count in Counter((r.signal_id, r.run_id) for r in signals).items() if count > 1]
    ledger_copies = [key for key, count in Counter(r.run_id for r in ledger).items() if count > 1]
    assert (copies, ledger_copies) == ([], [])
    assert len(ledger) == len(signals) == len(published)
    statuses = Counter(outcome.status for record in ledger for outcome in record.outcomes)
    assert statuses == {Status.OK: len(published), Status.SKIPPED: len(published)}


def wait_until_stopped(worker: Worker, seconds: float = 60) -> None:
    """Until the process has stopped itself at its point."""
    deadline = time.monotonic() + seconds
    while psutil.Process(worker.process.pid).status() != psutil.STATUS_STOPPED:
        assert worker.process.poll() is None, worker.text()[-2000:]
        assert time.monotonic() < deadline, f"it did not come to its point within {seconds} s:\n{worker.text()[-2000:]}"
        time.sleep(0.1)


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
