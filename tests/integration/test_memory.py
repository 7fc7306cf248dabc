"""A worker's memory does not follow the length of what it understands."""

import threading
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from running import gather, running_worker, signals_command

from processors.catalogue import SIGNALS
from schemas.records import Status
from streams.settings import Settings

MINUTES = 60
RATE_HZ = 22_050
MOST_GROWTH_BYTES = 300 * 1024**2
SAMPLE_SECONDS = 0.2


def an_hour(path: Path) -> None:
    """Noise that swells and fades, an hour of it, as MP3."""
    minute = np.random.default_rng(1).normal(0, 2_000, RATE_HZ * 60)
    minute *= np.abs(np.sin(np.linspace(0, 30 * np.pi, len(minute))))
    samples = minute.astype(np.int16)[None]
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout="mono")
        resampler = av.AudioResampler(stream.format, "mono", RATE_HZ, frame_size=stream.frame_size)
        for _ in range(MINUTES):
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = RATE_HZ
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))


class Watch(threading.Thread):
    """Samples the memory of a process and all its children; a page that several share counts once for each part of it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self._end = psutil.Process(pid), threading.Event()
        self.peak_bytes = 0

    def now_bytes(self) -> int:
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return total

    def run(self) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self.now_bytes())

    def stop(self) -> int:
        self._end.set()
        self.join()
        return self.peak_bytes


@pytest.mark.timeout(400)
def test_an_hour_of_audio_needs_no_more_than_300_mb(settings: Settings, tmp_path: Path) -> None:
    """Worker and decode processes together stay within 300 MB of what they hold after a first small event."""
    hour = tmp_path / "hour.mp3"
    an_hour(hour)
    with running_worker(settings, tmp_path) as worker:
        signals_command(settings, "publish", "--text", "warming up", "--content-id", "warm")
        gather(settings, {"warm"}, 60, worker=worker)
        watch = Watch(worker.process.pid)
        idle_bytes = watch.now_bytes()
        watch.start()
        signals_command(settings, "publish", str(hour), "--content-id", "hour")
        gathered = gather(settings, {"hour"}, 300, SIGNALS, worker)
        growth_bytes = watch.stop() - idle_bytes
    outcomes = {o.signal: o.status for record in gathered.ledger if record.content_id == "hour" for o in record.outcomes}
    assert outcomes["audio.speech"] is outcomes["audio.loudness"] is Status.OK
    print(f"idle {idle_bytes / 1e6:.0f} MB, growth {growth_bytes / 1e6:.0f} MB over {MINUTES} minutes of audio")
    assert growth_bytes <= MOST_GROWTH_BYTES
