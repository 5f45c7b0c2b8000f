"""Two hundred ways to make a template engine run what a customer typed, through every field they or a product can fill."""

import itertools
import json
import shutil
from html import escape

import pytest

from campaigns import gallery
from campaigns.definitions import TEMPLATES, load_campaign
from campaigns.facts import clean_facts, name_or_none
from campaigns.render import render
from campaigns.templates import NOWHERE, compile_template

SYNTAX = [
    "{{ %s }}", "{{ %s | safe }}", "{{ 'a' ~ %s }}", "{{{ %s }}}", "{%% print %s %%}", "{%% if %s %%}x{%% endif %%}",
    "{%% set x = %s %%}{{ x }}", "{# %s #}", "{%% raw %%}{{ %s }}{%% endraw %%}", "${ %s }", "${{ %s }}", "#{ %s }", "*{ %s }",
    "<%%= %s %%>", "@( %s )", "[[ %s ]]", "{ %s }", "%%( %s )s", "$!{ %s }", "{{= %s }}",
]  # fmt: skip
ASKS = [
    "7 * 1337", "self.__init__.__globals__", "cycler.__init__.__globals__.os.environ", "config.items()", "lipsum.__globals__['os']",
    "().__class__.__mro__[1].__subclasses__()", "brand.link_hosts", "link.__self__.addresses", "unsubscribe_url", "products.clear()",
]  # fmt: skip
PAYLOADS = [syntax % asks for syntax, asks in itertools.product(SYNTAX, ASKS)]
MAILS = [("picked_for_you", ""), ("order_follow_up", ""), ("greeting", "")]
SECRET = "not-for-readers"


@pytest.mark.parametrize(("campaign_id", "step"), MAILS)
def test_what_a_customer_or_product_is_called_is_shown_and_never_run(campaign_id, step, monkeypatch):
    monkeypatch.setenv("LAPWING_TOKEN_KEY", SECRET)
    assert len(set(PAYLOADS)) == 200
    template, facts = compile_template(campaign_id, step=step), gallery.example(campaign_id, step)
    product = facts["products"][0]
    fields = [key for key, value in facts.items() if isinstance(value, str) and not key.endswith("_date")]
    of_product = [key for key in product if key not in ("product_id", "url", "currency")]
    texts = [key for key in of_product if isinstance(product[key], str) and not key.endswith("_date")]
    assert {"first_name", "name", "category", "size"} <= {*fields, *texts}
    for payload in PAYLOADS:
        for field in fields:
            require_shown(template, facts | {field: payload}, payload, is_shown=False)
        for field in texts:
            changed = facts | {"products": [product | {field: payload}]}
            require_shown(template, changed, payload, is_shown=field == "name")


def require_shown(template, facts, payload, *, is_shown):
    found = render(template, facts, "en", NOWHERE)
    everything = found.subject + found.preheader + found.html + found.text
    for leaked in ("9359", SECRET, "<class", "Undefined", "juniper.example'", "LinkAddresses"):
        assert leaked not in everything, payload
    assert name_or_none(payload) is None  # no greeting with it
    if is_shown:
        text = clean_facts(facts)["products"][0]["name"]
        assert text in found.text
        assert str(escape(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in found.html


def test_what_a_campaign_says_of_itself_is_text_too(tmp_path):
    home = shutil.copytree(TEMPLATES / "restock", tmp_path / "restock")
    file = home / "campaign.yml"
    sources = file.read_text()
    for payload in PAYLOADS:
        title = json.dumps(payload[:80])
        file.write_text(sources.replace("title: Time to restock", f"title: {title}"))
        assert load_campaign(home).title == payload[:80]
