"""Events per second of a worker whose model answers at once ÷ a bare confluent-kafka loop: `python -m bench.source`.

All that the worker does for its promises (out-of-order books, lanes, the decode process, Faust, pipeline, transactions) against
the Avro work and the transactions alone (`bench.bare_loop`). Worker and loop take turns on one core; broker, registry and the
subscriber who counts committed signal records have the other. The same events wait on the input topic for each. A Triton without
models is there because a worker wants one; nobody asks it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.arrivals import Arrivals, rate, steady
from bench.child import child
from bench.core_watch import CoreWatch
from bench.events import publish
from bench.machine import OthersUse, on_core, require_on_core, two_cores
from bench.report import report
from bench.rounds import rounds
from bench.servers import Servers, servers
from bench.waiting import WORKER, waiting_signal
from processors.signal import Signal
from streams.provisioning import apply

__all__ = ["main"]

IN_FLIGHT = 64
MOST_SECONDS = 120.0


def measured(
    name: str, program: Sequence[str], at: Servers, signal: Signal, events: int, core: int, console: Console
) -> dict[str, float]:
    """A new group reads the same events from their beginning."""
    settings = at.settings.model_copy(update={"group": f"bench-{name}", "concurrency": IN_FLIGHT})
    apply(settings, [signal], partitions=8, replication=1)
    arrivals = Arrivals(settings, signal.topic)
    with (
        console.status(f"{name}: starting") as status,
        child(program, settings, log(at.folder, name), core) as process,
        CoreWatch(process.pid, core) as watch,
    ):
        all_times = arrivals.times(
            events, MOST_SECONDS, lambda seen: status.update(f"{name}: {seen} of {events} events"), process
        )
        if process.poll() is None:
            require_on_core(process.pid, core)
    times = steady(all_times)
    return {"per_second": rate(times), "cpu_ms_each": watch.cpu_ms_each(times), "core_idle_percent": watch.idle_percent(times)}


def log(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def main(most: int, events: int) -> None:
    console = Console()
    broker_core, core = two_cores()
    signal = waiting_signal()
    programs = {"bare_loop": ["-m", "bench.bare_loop", str(events)], "worker": [WORKER]}
    with on_core(broker_core), servers(broker_core, broker_core, console=console) as at:
        apply(at.settings, [signal], partitions=8, replication=1)
        publish(at.settings, ["wait 0 ms"] * events)
        others, figures = OthersUse(), []
        for number in rounds(most):
            both: dict[str, float] = {}
            for name, program in programs.items():
                found = measured(f"{name}-{number}", program, at, signal, events, core, console)
                both |= {f"{name}_{what}": value for what, value in found.items()}
                console.print(f"round {number} of {most}: {name} {found['per_second']:,.0f} events a second", style="dim")
            figures.append(both)
        conditions = {"events": events, "in_flight": IN_FLIGHT, "partitions": 8}
        report("source", "worker", "bare_loop", "cpu_ms_each", figures, others.percent(), conditions, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.source", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="loop and worker, so many times; fewer if they take long (3)")
    parser.add_argument("--events", type=int, default=6_000, help="how many events wait on the topic (6,000)")
    given = parser.parse_args()
    main(given.rounds, given.events)
