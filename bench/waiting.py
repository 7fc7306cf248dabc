"""The signal whose model only waits, from the tests: its worker is a program of theirs."""

import importlib
import sys

from bench.child import ROOT
from processors.signal import Signal

__all__ = ["WORKER", "waiting_signal"]

TESTS = ROOT / "tests"
WORKER = str(TESTS / "waiting_worker.py")


def waiting_signal() -> Signal:
    """Texts of "wait 0 ms" are answered at once, inside the worker."""
    sys.path.append(str(TESTS))
    signal: Signal = importlib.import_module("waiting_signals").SIGNAL
    return signal
