"""A worker whose catalogue is the waiting signal and the real signals that WAITING_WITH names.

FAIL_AT, e.g. "sent:KILL:0.02", kills or stops the process at a named point of a transaction with a probability.
"""

import os
import random
import signal

import waiting_signals

from processors.catalogue import SIGNALS
from streams.settings import Settings
from streams.worker import run


def fail_point(name: str) -> None:
    point, _, rest = os.environ.get("FAIL_AT", "").partition(":")
    if point == name:
        what, _, probability = rest.partition(":")
        if random.random() < float(probability):
            os.kill(os.getpid(), signal.Signals[f"SIG{what}"])


if __name__ == "__main__":
    real = [signal for signal in SIGNALS if signal.name in os.environ.get("WAITING_WITH", "").split(",")]
    run(Settings(), [waiting_signals.SIGNAL, *real], waiting_signals.WaitInWorker, fail_point, loglevel="info")
