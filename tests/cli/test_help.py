"""Every verb says what it does, with an example that works as it stands."""

import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli.main import VERBS, signals


def verbs_of(command: click.Command, context: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every verb, those of groups' own verbs too."""
    if path:
        yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            verb = command.get_command(context, name)
            assert verb is not None
            yield from verbs_of(verb, context, (*path, name))


ALL_VERBS = list(verbs_of(signals, click.Context(signals)))
each_verb = pytest.mark.parametrize("words", ALL_VERBS, ids=" ".join)


def help_of(words: tuple[str, ...]) -> str:
    result = CliRunner().invoke(signals, [*words, "--help"], terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.output


def examples_in(text: str) -> list[str]:
    """The indented lines after "Example:", to the next empty line."""
    _, _, after = text.partition("Example:\n")
    lines = after.split("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


def parse(words: list[str]) -> click.Context:
    """The context of the verb that the words lead to; nothing is run. Raises UsageError for what click would refuse."""
    command: click.Command = signals
    context = command.make_context("signals", words)
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, context = found, found.make_context(found.name, rest, parent=context)
    return context


def test_the_verbs_are_those_that_are_listed() -> None:
    """Each verb of the table is a command of that name, in its module."""
    assert {words[0] for words in ALL_VERBS} == set(VERBS)
    assert all(words[-1] == verb_called(words).name for words in ALL_VERBS)


def verb_called(words: tuple[str, ...]) -> click.Command:
    command: click.Command = signals
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    return command


@each_verb
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    """--help exits with 0 and shows at least one line that begins with `signals` and this verb, or evaluates what it prints."""
    examples = examples_in(help_of(words))
    assert examples
    assert all(example.startswith(("signals ", 'eval "$(signals ')) for example in examples)
    assert any(f"signals {words[0]}" in example for example in examples)


@each_verb
def test_examples_parse(words: tuple[str, ...]) -> None:
    """Verb, options and arguments of each example are ones that the command line knows."""
    for example in examples_in(help_of(words)):
        for command in commands_in(example):
            parse(command)


def commands_in(example: str) -> Iterator[list[str]]:
    """The words after each `signals`, up to a pipe or the like."""
    plain = example.removeprefix('eval "$(').removesuffix(')"')
    for part in plain.replace("&&", "|").split("|") if "'" not in plain.split("|")[0] else [plain]:
        parts = shlex.split(part, comments=True)
        if parts and parts[0] == "signals":
            yield [word for word in parts[1:] if word != "&"]


@each_verb
def test_each_option_says_what_it_does(words: tuple[str, ...]) -> None:
    """Options whose choices do not say it have a sentence."""
    for parameter in verb_called(words).params:
        if isinstance(parameter, click.Option) and not isinstance(parameter.type, click.Choice):
            assert parameter.help or isinstance(parameter.type, click.Path), parameter.name


@each_verb
def test_the_first_sentence_ends(words: tuple[str, ...]) -> None:
    """A verb's help begins with a sentence."""
    first = (verb_called(words).help or "").strip().split("\n\n")[0]
    assert first.rstrip()[-1:] == ".", first


def test_the_commands_own_help_lists_every_verb_with_its_summary() -> None:
    """`signals --help` names each verb and says what it does, and its examples parse."""
    output = help_of(())
    for name, (_, summary) in VERBS.items():
        assert f"{name} " in output
        assert summary in output
    for line in output.splitlines():
        if line.strip().startswith(("signals ", 'eval "$(signals')):
            for command in commands_in(line.strip()):
                parse(command)


@pytest.mark.parametrize("wrong", [["lst"], ["list", "--jsn"], ["show"], ["topics", "aply"], ["worker", "--loglevel", "loud"]])
def test_a_mistake_is_refused_with_the_way_to_help(wrong: list[str]) -> None:
    """Click's usage error: exit code 2, the wrong word, and where help is."""
    result = CliRunner().invoke(signals, wrong)
    assert result.exit_code == 2
    assert "Try 'signals" in result.output
