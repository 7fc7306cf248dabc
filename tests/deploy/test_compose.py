"""compose.yaml fits the code that it starts.

No Docker is needed. The Compose specification's own JSON schema is not at hand here: what these tests know of its structure is
written out below, as strict as this file needs. Keys that are not listed fail, so that a slip of the pen is not taken for a key.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import signals
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SETTINGS = {f"SIGNALS_{name.upper()}" for name in Settings.model_fields}

SERVICE_KEYS = {
    "build": str,
    "command": str,
    "depends_on": dict,
    "deploy": dict,
    "environment": dict,
    "extends": dict,
    "healthcheck": dict,
    "image": str,
    "networks": dict,
    "ports": list,
    "profiles": list,
    "restart": str,
    "shm_size": str,
    "volumes": list,
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = r"([0-9]+(us|ms|s|m|h))+"

each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


def service_settings(name: str) -> dict[str, str]:
    return {key: value for key, value in SERVICES[name].get("environment", {}).items() if key.startswith("SIGNALS_")}


def test_the_file_has_a_name_and_services() -> None:
    """Nothing stands at the top but the name, the services, named volumes, and extensions (x-…)."""
    assert {key for key in COMPOSE if not key.startswith("x-")} <= {"name", "services", "volumes"}
    assert re.fullmatch("[a-z0-9][a-z0-9_-]*", COMPOSE["name"])
    assert OURS


@each_service
def test_a_service_has_known_keys_of_the_right_types(name: str) -> None:
    """Keys and types of the Compose specification; each service has exactly one of image, build and extends."""
    service = SERVICES[name]
    assert re.fullmatch("[a-zA-Z0-9._-]+", name)
    assert service.keys() <= SERVICE_KEYS.keys()
    for key, value in service.items():
        assert isinstance(value, SERVICE_KEYS[key]), key
    assert len(service.keys() & {"image", "build", "extends"}) == 1
    assert service.get("restart", "no") in {"no", "always", "on-failure", "unless-stopped"}
    assert re.fullmatch("[0-9]+(b|k|kb|m|mb|g|gb)", service.get("shm_size", "64mb"))


@each_service
def test_environment_values_are_strings(name: str) -> None:
    """YAML would make true, 1 and 0x10 of what a program reads as text."""
    for key, value in SERVICES[name].get("environment", {}).items():
        assert re.fullmatch("[A-Z][A-Z0-9_]*", key)
        assert isinstance(value, str), key


@each_service
def test_images_are_pinned(name: str) -> None:
    """Another machine, another day: the same server."""
    if image := SERVICES[name].get("image"):
        _, _, tag = image.rpartition(":")
        assert re.search("[0-9]", tag), image
        assert tag != "latest"


@each_service
def test_health_checks_are_whole(name: str) -> None:
    """A test in the exec or shell form, with interval, timeout and retries."""
    check = SERVICES[name].get("healthcheck")
    if check is None:
        return
    assert check.keys() == {"test", "interval", "timeout", "retries"}
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert all(isinstance(word, str) for word in check["test"])
    assert re.fullmatch(DURATION, check["interval"])
    assert re.fullmatch(DURATION, check["timeout"])
    assert check["retries"] > 0


@each_service
def test_services_wait_for_services_that_can_get_there(name: str) -> None:
    """Who waits for health waits for a service with a health check; who waits for an end, for one that is not restarted."""
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert wait.keys() <= {"condition", "required", "restart"}
        assert wait["condition"] in CONDITIONS
        assert other in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if wait["condition"] == "service_completed_successfully":
            assert "restart" not in SERVICES[other]


@each_service
def test_extended_services_are_there(name: str) -> None:
    """A service that extends another names one of this file."""
    if extends := SERVICES[name].get("extends"):
        assert extends.keys() == {"service"}
        assert extends["service"] in SERVICES


@each_service
def test_volumes_are_read_only_folders_beside_the_file(name: str) -> None:
    """Bind mounts in the short form: nothing of the machine is written, and nothing outside of this folder is seen."""
    for volume in SERVICES[name].get("volumes", []):
        assert re.fullmatch(r"\./[a-z]+:/[a-z/]+:ro", volume), volume


@each_service
def test_a_reserved_device_has_capabilities(name: str) -> None:
    """The specification asks for them; the path to them is long, and a slip in it means no GPU."""
    deploy = SERVICES[name].get("deploy")
    if deploy is None:
        return
    (device,) = deploy["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]


# ---- and our own code ----


@each_service
def test_settings_are_settings(name: str) -> None:
    """Each SIGNALS_* name is one that the worker reads; a misspelt one would be ignored in silence."""
    assert service_settings(name).keys() <= SETTINGS


@each_of_ours
def test_settings_have_values_that_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker would start with them, and reads every one."""
    for key, value in service_settings(name).items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    for key, value in service_settings(name).items():
        assert str(getattr(settings, key.removeprefix("SIGNALS_").lower())) == value


@each_of_ours
def test_addresses_are_those_of_services(name: str) -> None:
    """Brokers, registry and Triton are services of this file, that ours depend on or that their own dependencies do."""
    hosts = {re.sub(r"^https?://", "", value).partition(":")[0] for value in addresses(name)}
    assert hosts <= SERVICES.keys()
    assert hosts - set(dependencies(name)) <= ({"triton"} if name == "topics" else set())


def addresses(name: str) -> Iterator[str]:
    for key, value in service_settings(name).items():
        if key in ("SIGNALS_KAFKA_BROKERS", "SIGNALS_REGISTRY_URL", "SIGNALS_TRITON_URLS"):
            yield from value.split(",")


def dependencies(name: str) -> Iterator[str]:
    for other in SERVICES[name].get("depends_on", {}):
        yield other
        yield from dependencies(other)


@each_of_ours
def test_commands_are_commands(name: str) -> None:
    """The verb and its options parse; nothing is run."""
    parse(shlex.split(SERVICES[name].get("command", "worker")))


def parse(arguments: list[str]) -> click.Context:
    """As the command line would: each group hands the rest to its verb."""
    command: click.Command = signals
    context = command.make_context("signals", arguments)
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
        context = command.make_context(command.name, rest, parent=context)
    return context


def test_a_command_that_is_none_does_not_parse() -> None:
    """The check above can fail: a misspelt verb and a misspelt option are refused."""
    for wrong in (["workers"], ["topics", "aply"], ["topics", "apply", "--replicas", "1"]):
        with pytest.raises(click.UsageError):
            parse(wrong)


def test_file_assets_lie_where_the_media_are_mounted() -> None:
    """SIGNALS_FILE_ROOTS of the worker is a folder that is mounted into it."""
    mounted = [volume.split(":")[1] for volume in SERVICES["worker"]["volumes"]]
    assert service_settings("worker")["SIGNALS_FILE_ROOTS"] in mounted


def test_triton_serves_the_folder_that_is_mounted() -> None:
    """--model-repository is a folder that is mounted into it."""
    triton = SERVICES["triton"]
    (repository,) = re.findall(r"--model-repository=(\S+)", triton["command"])
    assert repository in [volume.split(":")[1] for volume in triton["volumes"]]
