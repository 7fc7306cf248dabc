"""`signals doctor`."""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from processors.catalogue import SIGNALS
from processors.errors import SignalsError
from streams import kafka_config
from streams.settings import Settings
from streams.startup import CannotStart, unknown_settings

__all__ = ["doctor_command"]


@dataclass(frozen=True)
class Finding:
    """What was checked, whether it is right, what was seen, and what to do if it is not."""

    what: str
    ok: bool
    seen: str
    advice: str = ""

    @property
    def told(self) -> str:
        return f"{self.seen}\n→ {self.advice}" if self.advice and not self.ok else self.seen


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON list, one object for each check.")
def doctor_command(as_json: bool) -> None:
    """Check brokers, topics, registry, Triton, store and this machine; say what to do. Exit code 1 if a worker could not run.

    \b
    Example:
      signals doctor
    """
    findings = list(checks(Settings()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for finding in findings:
            table.add_row(
                "✓" if finding.ok else "✗",
                finding.what,
                finding.told,
            )
        Console(highlight=False).print(table)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def checks(settings: Settings) -> Iterator[Finding]:
    yield Finding("release", True, f"content-signals {version('content-signals')}, Python {sys.version.split()[0]}")
    for what, check in (
        ("Kafka", brokers),
        ("topics and schemas", topics),
        ("Triton", triton),
        ("models", models),
        ("files", file_roots),
        ("S3", s3),
        ("spool", spool),
    ):
        yield guarded(what, check, settings)
    for sentence in unknown_settings(os.environ):
        yield Finding("settings", False, sentence)
    from embedded.platform_check import unsupported_reason

    reason = unsupported_reason()
    yield Finding("embedded servers", True, reason or "this machine can run them (`signals up`)")


def guarded(what: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except SignalsError as error:
        return Finding(what, False, error.detail)
    except CannotStart as error:
        return Finding(what, False, str(error))
    except KafkaException as failure:
        return Finding(
            what,
            False,
            f"{settings.kafka_brokers}: {failure.args[0].str()}",
            "start one (`signals up`) or set SIGNALS_KAFKA_BROKERS",
        )


def brokers(settings: Settings) -> Finding:
    metadata = AdminClient(kafka_config.client(settings) | {"log_level": 0}).list_topics(timeout=5)
    return Finding("Kafka", True, f"{settings.kafka_brokers}: {len(metadata.brokers)} brokers, cluster {metadata.cluster_id}")


def topics(settings: Settings) -> Finding:
    from streams.provisioning import inspect

    states = inspect(settings, SIGNALS)
    wrong = [state.topic for state in states if not state.ready]
    seen = f"{len(states)} topics at {settings.registry_url}" if not wrong else f"not ready: {', '.join(wrong)}"
    return Finding("topics and schemas", not wrong, seen, "signals topics apply")


def triton(settings: Settings) -> Finding:
    from streams.startup import check_triton

    asyncio.run(check_triton(settings))
    return Finding("Triton", True, f"{settings.triton_urls}: ready")


def models(settings: Settings) -> Finding:
    from cli.model_check import problems_of_server

    problems = problems_of_server(settings)
    return Finding(
        "models", not problems, problems[0] if problems else "every signal's tensors agree", "signals models check --live"
    )


def file_roots(settings: Settings) -> Finding:
    roots = [Path(root) for root in settings.file_roots.split(":") if root]
    missing = [str(root) for root in roots if not root.is_dir()]
    seen = (
        ", ".join(missing) + " does not exist"
        if missing
        else settings.file_roots or "file:// assets are refused (SIGNALS_FILE_ROOTS is empty)"
    )
    return Finding("files", not missing, seen, "correct SIGNALS_FILE_ROOTS")


def s3(settings: Settings) -> Finding:
    if not settings.s3_endpoint:
        return Finding(
            "S3",
            True,
            "AWS, with the environment's credentials" if not settings.s3_access_key_id else "AWS, with SIGNALS_S3_ACCESS_KEY_ID",
        )
    try:
        urllib.request.urlopen(settings.s3_endpoint, timeout=5).close()  # noqa: S310  # the operator's own setting
    except urllib.error.HTTPError as answer:
        return Finding("S3", answer.code < 500, f"{settings.s3_endpoint}: answers {answer.code}", "look at the store")
    except OSError as error:
        return Finding("S3", False, f"{settings.s3_endpoint}: {error}", "start it, or correct SIGNALS_S3_ENDPOINT")
    return Finding("S3", True, f"{settings.s3_endpoint}: answers")


def spool(settings: Settings) -> Finding:
    if not os.access(settings.spool_dir, os.W_OK):
        return Finding("spool", False, f"{settings.spool_dir} cannot be written", "correct SIGNALS_SPOOL_DIR")
    disk = os.statvfs(settings.spool_dir)
    free_gb = disk.f_bavail * disk.f_frsize / 1e9
    return Finding(
        "spool", free_gb > 1, f"{settings.spool_dir}: {free_gb:.0f} GB free", "free some space, or move it with SIGNALS_SPOOL_DIR"
    )
