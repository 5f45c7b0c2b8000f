"""A page that says `lapwing x y --z` can be believed; and every command helps."""

import re
from collections.abc import Iterable
from typing import Any

from scripts.docs import commands
from tests.arch.kit import ROOT, Tree


def known_commands() -> dict[tuple[str, ...], Any]:
    """Return words -> command of the whole command line."""
    import typer

    from cli.app import app

    return dict(commands(typer.main.get_command(app)))


def command_lines(text: str) -> list[str]:
    """Return what a page shows of our command: in inline code, or at the start of a line of a code block."""
    return re.findall(r"`(lapwing [^`]+)`", text) + re.findall(r"^\s*(?:\$ )?(lapwing .+)$", text, re.M)


def wrong(line: str, known: dict[tuple[str, ...], set[str]]) -> str:
    """Return what is wrong with a command line shown in a page; "" if nothing is."""
    words = re.sub(r"#.*|\[|\]|…|\\", " ", line).split()
    path: tuple[str, ...] = ()
    while words and (*path, words[0]) in known:
        path = (*path, words.pop(0))
    below = {each[len(path)] for each in known if each[: len(path)] == path and len(each) > len(path)}
    if words and below and not words[0].startswith("-") and "|" not in words[0]:
        return f"{' '.join((*path, words[0]))} is no command"
    options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    unknown = options - known[path] - {"--help"}
    return f"{' '.join(path)} has no {', '.join(sorted(unknown))}" if unknown else ""


def options_of(command: Any) -> set[str]:
    return {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)}


def pages() -> Iterable[str]:
    """Return the pages, and the DAG files, whose docstrings are pages; `docs/cli.md` is generated."""
    return (page for page in Tree(ROOT).matching("*.md", "dags/*.py") if page != "docs/cli.md")


def test_every_command_line_in_a_page_is_one_that_exists() -> None:
    known = {words: options_of(command) for words, command in known_commands().items()}
    shown = [(page, line) for page in pages() for line in command_lines(Tree(ROOT).text(page))]
    assert shown
    findings = [f"{page}: {finding}" for page, line in shown if (finding := wrong(line, known))]
    assert not findings, "\n".join(findings)


def test_a_wrong_word_and_a_wrong_option_are_both_noticed() -> None:
    known = {("lapwing",): set(), ("lapwing", "send"): set(), ("lapwing", "send", "show"): {"--json"}}
    assert command_lines("use `lapwing send show X`\n\n    $ lapwing send\n") == [
        "lapwing send show X",
        "lapwing send",
    ]
    assert not wrong("lapwing send show X --json  # why", known)
    assert wrong("lapwing send shove X", known) == "lapwing send shove is no command"
    assert wrong("lapwing send show X --yaml", known) == "lapwing send show has no --yaml"


def test_every_command_and_option_says_what_it_does() -> None:
    known = known_commands()
    assert len(known) > 8
    silent = [" ".join(words) for words, command in known.items() if not command.help]
    silent += [
        f"{' '.join(words)} {parameter.name}"
        for words, command in known.items()
        for parameter in command.params
        if not getattr(parameter, "help", "")
    ]
    assert not silent, f"without help: {', '.join(silent)}"
