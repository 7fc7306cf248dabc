"""Signals per second end to end ÷ Triton alone: `python -m bench.end_to_end`.

The model is text.embedding's, texts have about 32 tokens, 64 are in flight either way. Triton has a core of its own; Kafka, the
registry, the worker with its decode processes and whoever measures share the other. Alone: a client sends tensors that were made
before. End to end: the events wait on the input topic, and a subscriber counts committed signal records. The two take turns.
"""

import argparse
import random
from collections.abc import Iterator, Sequence

from rich.console import Console

from bench import triton_alone
from bench.arrivals import Arrivals, rate, steady
from bench.child import child
from bench.core_watch import CoreWatch
from bench.events import publish
from bench.machine import OthersUse, on_core, require_on_core, two_cores
from bench.report import report
from bench.rounds import rounds
from bench.servers import Servers, servers
from processors.features.text import Tokens
from processors.media import Text
from processors.signal import Tensors
from processors.signals.models import TEXT_EMBEDDING
from processors.signals.text_embedding import SIGNAL
from streams.provisioning import apply

__all__ = ["main"]

IN_FLIGHT = 64
WORDS = (28, 32)
WARM_UP = 192
FEWEST_EVENTS = 640  # ten times what is in flight
MOST_SECONDS = 120.0
VOCABULARY = """
    the a of and to in is was for on with as by at from it that this are be have has had not but they his her she he we you
    time people way day man world life hand part child eye woman place work week case point company number group problem fact
    new good first last long great little own other old right big high small large next early young few public same able
""".split()  # noqa: SIM905  prose reads better than a list


def texts(count: int) -> list[str]:
    """Common words, one token each, so that with [CLS] and [SEP] a text has 30 to 34 tokens; the same each time."""
    draws = random.Random(32)
    return [" ".join(draws.choices(VOCABULARY, k=draws.randint(*WORDS))) for _ in range(count)]


def tensors(texts: Sequence[str]) -> Iterator[Tensors]:
    feature = Tokens()
    for text in texts:
        (window,) = feature.start().push(Text(text))
        yield window.tensors


def alone(at: Servers, requests: Sequence[Tensors], core: int) -> dict[str, float]:
    with CoreWatch(at.triton_pid, core) as watch:
        times = steady(triton_alone.answers(at.settings.triton_urls, TEXT_EMBEDDING, requests, IN_FLIGHT))
    return figures(times, watch)


def end_to_end(at: Servers, group: str, events: int, cores: tuple[int, int], console: Console) -> dict[str, float]:
    """A new group reads the same events from their beginning."""
    settings = at.settings.model_copy(update={"group": group, "concurrency": IN_FLIGHT, "signals": SIGNAL.name})
    apply(settings, [SIGNAL], partitions=8, replication=1)
    arrivals = Arrivals(settings, SIGNAL.topic)
    triton_core, core = cores
    with (
        console.status("end to end: starting a worker") as status,
        CoreWatch(at.triton_pid, triton_core) as watch,
        child(["-m", "cli.main", "worker"], settings, at.folder / "worker.log", core) as worker,
    ):
        times = arrivals.times(
            events, MOST_SECONDS, lambda seen: status.update(f"end to end: {seen} of {events} signals"), worker
        )
        require_on_core(worker.pid, core)
    return figures(steady(times), watch)


def figures(times: Sequence[float], watch: CoreWatch) -> dict[str, float]:
    return {
        "per_second": rate(times),
        "triton_cpu_ms_each": watch.cpu_ms_each(times),
        "triton_core_idle_percent": watch.idle_percent(times),
    }


def main(most: int, seconds: float) -> None:
    console = Console()
    triton_core, core = two_cores()
    with on_core(core), servers(core, triton_core, [TEXT_EMBEDDING.name], console=console) as at:
        alone(at, list(tensors(texts(WARM_UP))), triton_core)
        first = alone(at, list(tensors(texts(WARM_UP))), triton_core)
        waiting = texts(max(FEWEST_EVENTS, round(first["per_second"] * seconds)))
        console.print(f"publishing {len(waiting)} events", style="dim")
        requests = list(tensors(waiting))
        apply(at.settings, [SIGNAL], partitions=8, replication=1)
        publish(at.settings, waiting)
        others, measured = OthersUse(), []
        for number in rounds(most):
            ceiling = alone(at, requests, triton_core)
            console.print(f"round {number} of {most}: Triton alone {ceiling['per_second']:.1f} a second", style="dim")
            ours = end_to_end(at, f"bench-{number}", len(waiting), (triton_core, core), console)
            console.print(f"round {number} of {most}: end to end {ours['per_second']:.1f} a second", style="dim")
            names = {"end_to_end": ours, "alone": ceiling}
            measured.append({f"{name}_{what}": value for name, found in names.items() for what, value in found.items()})
        tokens = [request["input_ids"].shape[1] for request in requests]
        conditions = {"events": len(waiting), "in_flight": IN_FLIGHT, "tokens": [min(tokens), max(tokens)]}
        report("end_to_end", "end_to_end", "alone", "triton_cpu_ms_each", measured, others.percent(), conditions, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.end_to_end", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="alone and end to end, so many times; fewer if they take long (3)")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long one measurement is to take, about (12)")
    given = parser.parse_args()
    main(given.rounds, given.seconds)
