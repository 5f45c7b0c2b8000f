"""What docs/architecture.md draws and lists is what the code does."""

import re

from campaigns.sends import MAY_BECOME
from tests.arch.arrows import MAY_IMPORT
from tests.arch.kit import ROOT

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_the_drawn_states_of_a_send_are_the_ones_the_ledger_knows() -> None:
    diagram = PAGE.partition("stateDiagram-v2")[2].partition("```")[0]
    drawn = set(re.findall(r"^ *(\w+) --> (\w+)(?::|$)", diagram, re.M))
    assert drawn == {(state.value, after.value) for state, afters in MAY_BECOME.items() for after in afters}
    ends = set(re.findall(r"^ *(\w+) --> \[\*\]", diagram, re.M))
    assert ends == {state.value for state, afters in MAY_BECOME.items() if not afters}


def test_the_parts_listed_are_the_ones_whose_imports_are_checked() -> None:
    listed = set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.M))
    assert listed - {"dbt_project", "email_templates"} == MAY_IMPORT.keys() - {
        "tests",
        "scripts",
        "benchmarks",
    }
