"""What holds for pages: links lead somewhere, runbooks and decisions have their headings, words are not stale."""

import re
from pathlib import PurePath
from posixpath import normpath

from tests.arch.kit import Findings, Tree, rule, some

RUNBOOK = ("Symptom", "Is mail going out?", "First command", "How to undo")
DECISION = ("Status", "Context", "Decision", "Consequences", "What would change our mind")
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def without_code(text: str) -> str:
    """Blank out fenced and inline code, keeping the lines."""
    blank = lambda found: "\n" * found[0].count("\n")  # noqa: E731  # a name would say no more
    text = re.sub(r"^( *)(```|~~~).*?^ *\2 *$", blank, text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def headings(text: str) -> list[tuple[int, str]]:
    """Return (level, title) of each heading."""
    fenceless = re.sub(r"^( *)(```|~~~).*?^ *\2 *$", "", text, flags=re.S | re.M)
    return [
        (len(marks), title.strip()) for marks, title in re.findall(r"^(#{1,6}) +(.+?) *#*$", fenceless, re.M)
    ]


def anchors(text: str) -> set[str]:
    """Return the anchors GitHub gives the headings, and those set by hand."""
    found: list[str] = []
    for _, title in headings(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        twins = sum(1 for each in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", each))
        found.append(f"{slug}-{twins}" if twins else slug)
    return {*found, *re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)}


def links(text: str) -> list[tuple[int, str]]:
    """Return (line, target) of links and images, in Markdown or HTML."""
    pattern = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)|(?:src|href)=\"([^\"]+)\"|^\[[^\]]+\]:\s+(\S+)", re.M)
    plain = without_code(text)
    return [
        (plain.count("\n", 0, found.start()) + 1, next(filter(None, found.groups())))
        for found in pattern.finditer(plain)
    ]


@rule(
    "README.md:2",
    "README.md:3",
    "README.md:4",
    "docs/a.md:1",
    broken={
        "README.md": "[a](docs/a.md#two-words) [b](https://x.example/gone) `[c](gone.md)`\n[d](docs/gone.md)\n"
        "![inbox](docs/img/gone.png)\n[e](docs/a.md#three)\n[f](docs/)\n```\n[g](gone.md)\n```\n",
        "docs/a.md": "[up](../../outside.md)\n# Two words\n[self](#two-words)\n",
    },
)
def links_lead_somewhere(tree: Tree) -> Findings:
    """Every relative link and image in a page names a file of this repository, and its #anchor a heading there."""
    pages = tree.matching("*.md")
    some(pages, "pages")
    for page in pages:
        for line, target in links(tree.text(page)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            there = normpath(str(PurePath(page).parent / path)) if path else page
            if there not in tree.files and not tree.has_below(there) and there != ".":
                yield f"{page}:{line} leads to {target}, which is not here"
            elif anchor and there.endswith(".md") and anchor not in anchors(tree.text(there)):
                yield f"{page}:{line} leads to #{anchor}, which is no heading of {there}"


@rule(
    "docs/runbooks/send.md:1",
    broken={
        "docs/runbooks/send.md": "# send\n## Symptom\n## First command\n## How to undo\n",
        "docs/runbooks/plan.md": "# plan\n## Symptom\n## Is mail going out?\n## First command\n## How to undo\n",
        "docs/runbooks/README.md": "# Runbooks\n",
    },
)
def a_runbook_has_four_headings(tree: Tree) -> Findings:
    """Symptom, is mail going out?, first command, how to undo: in this order."""
    yield from with_headings(tree, "docs/runbooks/*.md", RUNBOOK)


@rule(
    "docs/decisions/0001-x.md:1",
    broken={
        "docs/decisions/0001-x.md": "# X\n## Context\n## Status\n## Decision\n## Consequences\n## What would change our mind\n",
    },
)
def a_decision_has_five_headings(tree: Tree) -> Findings:
    """Status, context, decision, consequences, what would change our mind: in this order."""
    yield from with_headings(tree, "docs/decisions/*.md", DECISION)


def with_headings(tree: Tree, pattern: str, wanted: tuple[str, ...]) -> Findings:
    pages = [path for path in tree.matching(pattern) if PurePath(path).name not in ("README.md", "index.md")]
    some(pages, pattern)
    for page in pages:
        titles = [title.rstrip("?").lower() for _, title in headings(tree.text(page))]
        found = [title for title in titles if title in {each.rstrip("?").lower() for each in wanted}]
        if found != [each.rstrip("?").lower() for each in wanted]:
            yield f"{page}:1 has not the headings {' / '.join(wanted)}"


@rule(
    "CHANGELOG.md:1",
    "CHANGELOG.md:2",
    "CHANGELOG.md:3",
    broken={"CHANGELOG.md": "# Changelog\n## 0.1\n### New\n- x\n"},
)
def the_changelog_is_kept(tree: Tree) -> Findings:
    """`CHANGELOG.md` has the form of Keep a Changelog, [Unreleased] first."""
    text = tree.text("CHANGELOG.md")
    some(text, "lines in CHANGELOG.md")
    if "## [Unreleased]" not in text:
        yield "CHANGELOG.md:1 has no [Unreleased]"
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## ") and not re.match(
            r"## \[(Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)", line
        ):
            yield f"CHANGELOG.md:{number} {line!r} is no version with its day"
        if line.startswith("### ") and line.removeprefix("### ") not in CHANGES:
            yield f"CHANGELOG.md:{number} {line!r} is none of {', '.join(sorted(CHANGES))}"


@rule(
    "README.md:1",
    "docs/a.md:3",
    broken={
        "README.md": "Run `make fly`, then `make demo`; make sure of it.\n",
        "docs/a.md": "```sh\nmake demo\nmake gone\n```\n",
        "Makefile": "demo: ## Run.\n",
    },
)
def every_make_command_in_a_page_exists(tree: Tree) -> Findings:
    """A page that says `make x` can be believed."""
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", tree.text("Makefile"), re.M))
    some(targets, "targets in Makefile")
    for place, line in tree.lines(tree.matching("*.md")):
        said = re.findall(r"`make ([a-z][\w-]*)", line) + re.findall(
            r"^\s*\$? ?make ([a-z][\w-]*)\s*(?:#.*)?$", line
        )
        for target in said:
            if target not in targets:
                yield f"{place} make {target} does not exist"


@rule(
    "README.md:0",
    broken={"README.md": "# Lapwing\n\nIt mails.\n", "docs/architecture.md": "x", "CONTRIBUTING.md": "x"},
)
def the_readme_shows_the_way(tree: Tree) -> Findings:
    """README: one picture of the loop, `make demo`, a screenshot, where to read on."""
    text = tree.text("README.md")
    wanted = (
        "docs/img/loop.svg",
        "make demo",
        "make test",
        ".png",
        "docs/architecture.md",
        "docs/data.md",
        "CONTRIBUTING.md",
    )
    missing = [each for each in wanted if each not in text]
    if missing:
        yield f"README.md:0 lacks {', '.join(missing)}"


PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "docs/architecture.md",
    "docs/data.md",
    "docs/cli.md",
)


@rule(
    "README.md:0",
    "CHANGELOG.md:0",
    "LICENSE:0",
    "docs/data.md:0",
    "docs/cli.md:0",
    broken={"CONTRIBUTING.md": "x", "docs/architecture.md": "x"},
)
def the_pages_everybody_looks_for_exist(tree: Tree) -> Findings:
    """README, changelog, contributing, licence, architecture, data and command pages exist."""
    for page in PAGES:
        if page not in tree.files:
            yield f"{page}:0 is missing"
