"""A worker whose catalogue is the waiting signal and the real signals that WAITING_WITH names.

FAIL_AT kills or stops the process at a named point of a transaction: "sent:KILL:0.02" with a probability, "produced:STOP:#3" the
third time it comes there.
"""

import os
import random
import signal
from collections import Counter

import waiting_signals

from processors.catalogue import SIGNALS
from streams.settings import Settings
from streams.worker import run

passed: Counter[str] = Counter()


def fail_point(name: str) -> None:
    point, _, rest = os.environ.get("FAIL_AT", "").partition(":")
    if point == name:
        passed[name] += 1
        what, _, when = rest.partition(":")
        if passed[name] == int(when[1:]) if when.startswith("#") else random.random() < float(when):
            os.kill(os.getpid(), signal.Signals[f"SIG{what}"])


if __name__ == "__main__":
    real = [signal for signal in SIGNALS if signal.name in os.environ.get("WAITING_WITH", "").split(",")]
    run(Settings(), [waiting_signals.SIGNAL, *real], waiting_signals.WaitInWorker, fail_point, loglevel="info")
