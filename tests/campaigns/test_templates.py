# ruff: noqa: RUF001  # mails are set with typographic quotes
import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from campaigns.definitions import STEP_FILES, TEMPLATES, load_campaigns
from campaigns.language import messages_of
from campaigns.render import LinkAddresses, render
from campaigns.templates import TemplateStore, compile_template
from core.errors import CampaignInvalid

ADDRESSES = LinkAddresses(
    click=lambda link_id: f"https://t.example/c/{link_id}",
    pixel="https://t.example/o.gif",
    unsubscribe="https://t.example/u",
    preferences="https://t.example/p",
    survey=lambda stars: f"https://t.example/s/{stars}",
    coupon=lambda: "7K2QM-9XA4T",
)
GERMAN = Path("locales/de/LC_MESSAGES/messages.po")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TEMPLATES, tmp_path / "email_templates")


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def example(campaign_id: str) -> dict[str, object]:
    facts: dict[str, object] = json.loads(
        (TEMPLATES / campaign_id / "example.json").read_text(encoding="utf-8")
    )
    return facts


def test_the_same_sources_give_the_same_version():
    assert compile_template("winback", step="care") == compile_template("winback", step="care")


SOURCES = [
    "winback/campaign.yml",
    "winback/care/subject.txt",
    "winback/care/body.mjml",
    "winback/care/body.txt",
    "_base/base.mjml",
    "_base/base.txt",
    "_base/brand.yml",
    *(f"_blocks/{file.name}" for file in sorted((TEMPLATES / "_blocks").iterdir())),
    *(str(file.relative_to(TEMPLATES)) for file in sorted(TEMPLATES.glob("locales/*/*/messages.po"))),
]


def test_any_change_to_what_a_mail_is_made_of_is_a_new_version(folder):
    assert len(SOURCES) > 15
    versions = {compile_template("winback", folder, step="care").version}
    for source in SOURCES:
        with (folder / source).open("a", encoding="utf-8") as file:
            file.write("\n")
        versions.add(compile_template("winback", folder, step="care").version)
    assert len(versions) == len(SOURCES) + 1


def test_each_step_of_a_campaign_is_a_template_of_its_own(folder):
    home = folder / "restock"
    flat = compile_template("restock", folder)
    for step in ("first", "last_word"):
        (home / step).mkdir()
        for name in (*STEP_FILES, "copy.yml"):
            shutil.copy(home / name, home / step / name)
    for name in (*STEP_FILES, "copy.yml"):
        (home / name).unlink()
    with (home / "campaign.yml").open("a") as file:
        file.write("steps: [{name: first}, {name: last_word, wait_hours: 48}]\nreentry_after_days: 90\n")
    rewrite(
        home / "last_word" / "subject.txt", '{% include "copy_s', '{{ _("Unsubscribe") }} {% include "copy_s'
    )
    first, last = (compile_template("restock", folder, step=step) for step in ("first", "last_word"))
    assert first.version != last.version != flat.version
    facts = example("restock") | {"first_name": None}
    assert render(first, facts, "de", ADDRESSES) == render(flat, facts, "de", ADDRESSES)
    assert render(last, facts, "de", ADDRESSES).subject.startswith("Abmelden ")
    with pytest.raises(CampaignInvalid, match="'restock' has no step ''; allowed: first, last_word"):
        compile_template("restock", folder)
    (home / "last_word" / "example.json").write_text("[]")
    with pytest.raises(CampaignInvalid, match=r"^restock/last_word/example.json must hold"):
        compile_template("restock", folder, step="last_word")


def test_another_campaign_and_the_example_are_no_part_of_a_version(folder):
    before = compile_template("winback", folder, step="care").version
    rewrite(folder / "restock" / "body.txt", '{% include "copy_lead', 'Hello {% include "copy_lead')
    rewrite(folder / "winback" / "care" / "example.json", '"Ada"', '"Grace"')
    assert compile_template("winback", folder, step="care").version == before


def test_a_stored_template_renders_the_same_bytes_after_its_sources_are_gone(folder, tmp_path):
    template = compile_template("restock", folder)
    TemplateStore(tmp_path / "store").save(template)
    shutil.rmtree(folder)
    loaded = TemplateStore(tmp_path / "store").load("restock", template.version)
    facts = example("restock")
    for locale in ("en", "de_AT", "zh"):
        assert render(loaded, facts, locale, ADDRESSES) == render(template, facts, locale, ADDRESSES)


def test_saving_twice_leaves_one_file_that_is_not_written_again(tmp_path):
    store, template = TemplateStore(tmp_path), compile_template("winback", step="care")
    first = store.save(template)
    before = first.stat()
    assert store.save(template) == first
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [f"{template.version}.json"]


def test_a_template_that_was_changed_in_the_store_is_refused(tmp_path):
    template = compile_template("winback", step="care")
    path = TemplateStore(tmp_path).save(template)
    rewrite(path, "Unsubscribe", "Do not unsubscribe")
    with pytest.raises(CampaignInvalid, match=f"template winback {template.version} is damaged"):
        TemplateStore(tmp_path).load("winback", template.version)


def test_a_version_that_is_not_stored_is_answered_with_those_that_are(tmp_path):
    template = compile_template("winback", step="care")
    TemplateStore(tmp_path).save(template)
    with pytest.raises(
        CampaignInvalid, match=f"winback 000000000000 is not stored; stored: {template.version}"
    ):
        TemplateStore(tmp_path).load("winback", "000000000000")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (GERMAN, 'msgstr "Schon eine Weile her"', 'msgstr ""', "locale de lacks a translation of 'It’s been a while'"),
        (GERMAN, '\nmsgid "It’s been a while"', '\n#, fuzzy\nmsgid "It’s been a while"', "lacks a translation"),
        (GERMAN, "Schon eine Weile her, %(name)s", "Schon eine Weile her", "with the values none; allowed: name"),
        (GERMAN, "Schon eine Weile her, %(name)s", "Lange her, %(nmae)s", "with the values nmae; allowed: name"),
        (GERMAN, "Schon eine Weile her, %(name)s", "Lange her, %(name)s: 100%", "cannot be filled in"),
        (GERMAN, 'msgstr[1] "%(count)s-mal gekauft"\n', "", "locale de lacks a translation of 'You’ve bought this once'"),
        (GERMAN, '-mal gekauft"', '-mal gekauft"\nmsgstr[2] "oft"', "more translations than num_plurals"),
        (GERMAN, 'msgid "Unsubscribe"', 'message "Unsubscribe"', "locales/de/LC_MESSAGES/messages.po cannot be read"),
        ("winback/care/body.txt", "{{ link(brand.url) }}", "{{ voucher }}", "'winback/care' needs 'voucher' in body.txt"),
        ("_blocks/price.mjml", "product.price_cents", "product.colour", "'winback' (locale ar) needs 'colour'"),
        ("_blocks/last_order.txt", "{% endif +%}", "", "winback/care/body.mjml, compiled: line"),
        ("winback/care/body.txt", '{% include "copy_call_to_action.txt" %}', "{{ _(first_name) }}", "_() takes constant text, not an expression"),
        ("winback/care/body.txt", '"products.txt"', '"goods.txt"', "includes 'goods.txt', which is no block; allowed:"),
        ("_blocks/price.mjml", "<div", '<mj-include path="price.mjml" /><div', "_blocks/price.mjml includes itself"),
        ("winback/care/body.mjml", "<mj-text mj", "<mj-txet mj", "'mj-txet' is misplaced or no MJML element"),
        ("winback/care/body.mjml", "<mj-column>", "<mj-column", "is not MJML"),
        ("_base/base.mjml", "brand.colours.page.light", "brand.colours.paper.light", "is not in brand.yml"),
        ("winback/care/subject.txt", '"copy_preheader.txt" %}', '"copy_preheader.txt" %}\n?', "must give two lines"),
        ("winback/care/example.json", "https://juniper.example/p/1029743", "https://evil.example/", "allowed: juniper.example"),
        ("winback/care/example.json", '"days_since_last_order"', '"days"', "needs 'days_since_last_order'"),
        ("winback/care/example.json", "{", "[", "winback/care/example.json is not JSON"),
    ],
)  # fmt: skip
def test_a_broken_source_stops_the_compiler_with_its_place(folder, file, old, new, said):
    rewrite(folder / file, old, new)
    with pytest.raises(CampaignInvalid) as raised:
        compile_template("winback", folder, step="care")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_no_catalogue_keeps_a_message_that_no_template_uses():
    used = set()
    campaigns = load_campaigns().values()
    for template in (compile_template(c.campaign_id, step=step.name) for c in campaigns for step in c.steps):
        for source in (template.subject, template.html, template.text):
            used |= {message if isinstance(message, str) else message[0] for message in messages_of(source)}
    assert len(used) > 20
    for file in TEMPLATES.glob("locales/*/*/messages.po"):
        with file.open("rb") as stream:
            held = {
                entry.id if isinstance(entry.id, str) else entry.id[0]
                for entry in read_po(stream)
                if entry.id
            }
        assert held <= used, f"{file.parts[-3]} translates what nobody says: {held - used}"


def test_a_template_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        compile_template("winback", step="care").html = ""  # type: ignore[misc]  # that is what is refused
