"""Pages that code writes are as the code would write them now."""

from pathlib import Path

import pytest

from scripts import docs
from tests.arch.kit import ROOT


@pytest.mark.parametrize("page", [*docs.WHOLE, *docs.PARTS])
def test_the_page_says_what_the_code_says(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == docs.fresh(page), f"mend it with: {docs.HOW}"


def test_a_changed_part_is_replaced_and_the_words_around_it_stay() -> None:
    page = f"before\n{docs.begin('a')}\nstale\n{docs.END}\nafter\n{docs.begin('b')}\nkept\n{docs.END}\n"
    renewed = docs.with_part(page, "a", "fresh")
    assert renewed == page.replace("\nstale\n", "\n\nfresh\n\n")
    assert docs.with_part(renewed, "a", "fresh") == renewed


def test_a_page_without_the_markers_is_refused_with_the_lines_it_needs() -> None:
    with pytest.raises(ValueError, match="end of generated part"):
        docs.with_part("no markers", "a", "x")


def test_a_setting_without_a_default_is_called_required_and_one_with_shows_it() -> None:
    source = (
        "class Settings(BaseSettings):\n    key: SecretStr = Field(min_length=32)\n    '''The key.'''\n"
        "    folder: Path = Path('data')\n    replay: bool = False\n    port: int = Field(25, ge=1)\n    url: str = ''\n"
    )
    rows = {row[0]: row[2:] for row in docs.setting_rows(source)}
    assert rows == {
        "`LAPWING_KEY`": ("required", "The key."),
        "`LAPWING_FOLDER`": ("`data`", ""),
        "`LAPWING_REPLAY`": ("`false`", ""),
        "`LAPWING_PORT`": ("`25`", ""),
        "`LAPWING_URL`": ("empty", ""),
    }


def test_the_row_of_a_dag_tells_its_schedule_first_sentence_and_tasks(tmp_path: Path) -> None:
    file = tmp_path / "nightly.py"
    file.write_text(
        '"""\n# nightly\n\nBuilds the features. Then more.\n\n**When it fails.** Look.\n"""\n'
        "@dag(schedule='0 5 * * *', tags=[Tier.CUSTOMER_FACING])\ndef nightly():\n"
        "    @task\n    def build(): ...\n    @task(retries=0)\n    def check(): ...\n"
    )
    name, when, tier, does, tasks = docs.dag_row(file)
    assert (when, tier, does) == ("`0 5 * * *`", "customer facing", "Builds the features.")
    assert (name, tasks) == ("[`nightly`](../dags/nightly.py)", "`build`, `check`")
