# ruff: noqa: RUF001  # mails are set with typographic quotes and, in Chinese, full-width stops
import difflib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from campaigns.definitions import TEMPLATES, load_campaigns
from campaigns.language import environment, formats_of, locale_chain, translations
from campaigns.render import LinkAddresses, Rendered, link_id_of, render
from campaigns.templates import Template, compile_template
from core.errors import CampaignInvalid
from core.tokens import TokenKind, Tokens

GOLDEN = Path(__file__).parent / "golden"
MAILS = [
    f"{each.campaign_id}/{step.name}".rstrip("/") for each in load_campaigns().values() for step in each.steps
]
LOCALES = ["ar", "de", "en", "es", "fr", "ja", "zh"]
ADDRESSES = LinkAddresses(
    click=lambda link_id: f"https://t.example/c/{link_id}",
    pixel="https://t.example/o.gif",
    unsubscribe="https://t.example/u",
    preferences="https://t.example/p",
    survey=lambda stars: f"https://t.example/s/{stars}",
    coupon=lambda: "7K2QM-9XA4T",
)
COMPILED: dict[str, Template] = {}


def template(place: str) -> Template:
    """Return the template of a mail: a campaign, or campaign/step."""
    if place not in COMPILED:
        campaign_id, _, step = place.partition("/")
        COMPILED[place] = compile_template(campaign_id, step=step)
    return COMPILED[place]


def example(place: str, **changes: object) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((TEMPLATES / place / "example.json").read_text(encoding="utf-8"))
    return facts | changes


def with_product(place: str, **changes: object) -> dict[str, Any]:
    facts = example(place)
    facts["products"] = [facts["products"][0] | changes]
    return facts


def mail(place: str, facts: dict[str, Any] | None = None, locale: str = "en") -> Rendered:
    return render(template(place), facts or example(place), locale, ADDRESSES)


class Page(HTMLParser):
    """What a browser would act on (tags with their attributes, addresses) and what it would show."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


# --- what the mails say


def test_there_are_golden_mails_of_each_campaign_and_two_pages_one_in_each_direction():
    assert len(MAILS) > 2
    texts = {f"{place.replace('/', '.')}.txt" for place in MAILS}
    assert {file.name for file in GOLDEN.iterdir()} == {*texts, "restock.en.html", "restock.ar.html"}
    assert sorted(file.name for file in (TEMPLATES / "locales").iterdir()) == LOCALES


@pytest.mark.parametrize("place", MAILS)
def test_a_mail_reads_as_it_was_approved(place, tmp_path):
    mails = {locale: mail(place, locale=locale) for locale in LOCALES}
    shown = "\n".join(
        f"======== {locale}\nSubject: {each.subject}\nPreheader: {each.preheader}\n\n{each.text}"
        for locale, each in mails.items()
    )
    require_golden(f"{place.replace('/', '.')}.txt", shown, tmp_path)


@pytest.mark.parametrize("locale", ["en", "ar"])
def test_a_page_is_made_as_it_was_approved(locale, tmp_path):
    html = mail("restock", locale=locale).html
    lines = html.replace("><", ">\n<") + "\n"  # a line per element: a change is a short diff
    require_golden(f"restock.{locale}.html", lines, tmp_path)


def require_golden(name: str, shown: str, folder: Path) -> None:
    golden, actual = GOLDEN / name, folder / f"{name}.actual"
    actual.write_text(shown, encoding="utf-8")
    before = golden.read_text(encoding="utf-8") if golden.exists() else ""
    changed = "\n".join(difflib.unified_diff(before.splitlines(), shown.splitlines(), n=1, lineterm=""))
    assert before == shown, f"this mail reads differently\n{changed}\naccept: cp {actual} {golden}"


WHY = {
    "ar": "لأنكم وافقتم",
    "de": "weil Sie dem Empfang",
    "en": "because you agreed",
    "es": "porque aceptaste",
    "fr": "parce que vous avez accepté",
    "ja": "同意された方に",
    "zh": "是因为您曾同意",
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("place", MAILS)
def test_every_part_shows_unsubscribe_link_postal_address_and_why_it_came(place, locale):
    rendered = mail(place, locale=locale)
    page = Page(rendered.html)
    for text in (page.text, rendered.text):
        assert "12 Example Street" in text
        assert WHY[locale] in text
    assert ADDRESSES.unsubscribe in page.addresses
    assert ADDRESSES.unsubscribe in rendered.text.splitlines()
    assert ADDRESSES.pixel in page.addresses


@pytest.mark.parametrize(
    ("locale", "named", "nameless"),
    [
        ("en", "It’s been a while, Ada", "It’s been a while"),
        ("de", "Schon eine Weile her, Ada", "Schon eine Weile her"),
        ("fr", "Cela fait un moment, Ada", "Cela fait un moment"),
        ("es", "Cuánto tiempo, Ada", "Cuánto tiempo"),
        ("ja", "Ada様、お久しぶりです", "お久しぶりです"),
        ("zh", "Ada，好久不见", "好久不见"),
        ("ar", "مضى وقت يا \u2068Ada\u2069", "مضى وقت منذ آخر لقاء"),
    ],
)
def test_a_greeting_reads_naturally_with_and_without_a_name(locale, named, nameless):
    assert named in mail("winback/care", locale=locale).text.splitlines()
    for absent in (None, "", "  ", "win.example/prize", "1234", "{{ 7 * 7 }}", "<b>", "A" * 41):
        text = mail("winback/care", example("winback/care", first_name=absent), locale).text
        assert nameless in text.splitlines()


@pytest.mark.parametrize(
    "name", ["José María", "O’Neil", "Anne-Marie", "J. R.", "Олег", "अनिल", "小明", "محمد"]
)
def test_a_name_of_any_script_greets(name):
    assert f"It’s been a while, {name}" in mail("winback/care", example("winback/care", first_name=name)).text


@pytest.mark.parametrize(
    ("locale", "once", "often"),
    [
        ("en", "You’ve bought this once", "You’ve bought this 7 times"),
        ("de", "Einmal gekauft", "7-mal gekauft"),
        ("fr", "Acheté une fois", "Acheté 7 fois"),
        ("es", "Lo has comprado una vez", "Lo has comprado 7 veces"),
        ("ja", "これまでに1回ご購入", "これまでに7回ご購入"),
        ("zh", "您买过 1 次", "您买过 7 次"),
    ],
)
def test_one_and_many_have_their_own_words(locale, once, often):
    assert once in mail("winback/care", with_product("winback/care", times_bought=1), locale).text
    assert often in mail("winback/care", with_product("winback/care", times_bought=7), locale).text


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "اشتريتموه مرة واحدة"),
        (2, "اشتريتموه مرتين"),
        (3, "اشتريتموه \u20683\u2069 مرات"),
        (10, "اشتريتموه \u206810\u2069 مرات"),
        (11, "اشتريتموه \u206811\u2069 مرة"),
        (103, "اشتريتموه \u2068103\u2069 مرات"),
    ],
)  # the Unicode CLDR's rules: one, two, few, many
def test_arabic_counts_in_its_own_forms(count, said):
    text = mail("winback/care", with_product("winback/care", times_bought=count), "ar").text
    assert said in text.splitlines()


def test_a_page_that_reads_from_right_to_left_is_laid_out_so():
    page = mail("picked_for_you", locale="ar").html
    assert '<html lang="ar" dir="rtl"' in page
    assert not re.search(r"direction:\s*ltr|text-align:\s*left(?!;direction:rtl)|align=\"left\"", page)
    cells = re.findall(r'<td width="50%"[^>]*padding:([^;]*);', page)
    assert (
        cells == ["0 0 28px 10px", "0 10px 28px 0"] * 3
    )  # the gap is on the left of the first, which stands right
    english = re.findall(r'<td width="50%"[^>]*padding:([^;]*);', mail("picked_for_you").html)
    assert english == ["0 10px 28px 0", "0 0 28px 10px"] * 3


def test_a_latin_name_and_a_price_keep_their_order_between_arabic_words():
    rendered = mail("restock", with_product("restock", name="7-Up (2 L)", price_cents=349), "ar")
    assert "\u20687-Up (2 L)\u2069" in rendered.subject
    assert "\u20687-Up (2 L)\u2069 · \u20683.49\xa0US$\u2069" in rendered.text.splitlines()
    assert re.search(r'<div class="name ink" dir="auto"[^>]*><a [^>]*>7-Up \(2 L\)</a>', rendered.html)


@pytest.mark.parametrize(
    ("locale", "price"),
    [
        ("en", "$3.49"),
        ("de", "3,49\xa0$"),
        ("de_AT", "$\xa03,49"),
        ("zh", "US$3.49"),
        ("fr", "3,49\xa0$US"),
        ("es", "3,49\xa0US$"),
        ("ja", "$3.49"),
        ("ar", "3.49\xa0US$"),
    ],
)  # as the Unicode CLDR writes them
def test_a_price_is_written_as_the_locale_writes_it(locale, price):
    rendered = mail("winback/care", with_product("winback/care", price_cents=349), locale)
    assert price in rendered.text
    assert price in rendered.html


def test_a_price_without_minor_unit_is_not_divided():
    assert "¥349" in mail("winback/care", with_product("winback/care", price_cents=349, currency="JPY")).text


def test_what_is_not_a_fact_is_not_said():
    silent = {
        "price_cents": None,
        "size": None,
        "times_bought": None,
        "usual_gap_days": None,
        "days_since": None,
    }
    text = mail("winback/care", with_product("winback/care", **silent) | {"usual_gap_days": None}).text
    assert not re.search(r"\$|Prices|bought this|You used to|None", text)
    text = mail("picked_for_you", with_product("picked_for_you", reason_product_name=None)).text
    assert "Because" not in text
    text = mail("restock", with_product("restock", usual_gap_days=None)).text
    assert "every" not in text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "viewed",
            ["Because you looked at Oolong", "Weil Sie Oolong angesehen haben", "因为您浏览过 Oolong"],
        ),
        ("new_arrival", ["New, and like Oolong", "Neu und ähnlich wie Oolong", "新品，与 Oolong 相似"]),
        (
            "popular_in_segment",
            ["Popular with customers like you", "Beliebt bei Kunden wie Ihnen", "和您相似的顾客也喜欢"],
        ),
    ],
)
def test_what_is_said_to_and_of_the_new_is_said_in_every_language(reason, said):
    facts = with_product("picked_for_you", reason=reason, reason_product_name="Oolong")
    for locale, words in zip(["en", "de", "zh"], said, strict=True):
        assert words in mail("picked_for_you", facts, locale).text


def test_restock_says_how_often_and_when_last():
    text = mail("restock", with_product("restock", usual_gap_days=14.0, days_since=20)).text
    assert "You buy this about every 14 days\xa0· last time 20 days ago" in text


@pytest.mark.parametrize(
    ("asked", "chain"),
    [
        ("de_AT", ["de", "en"]),
        ("de-AT", ["de", "en"]),
        ("zh_Hans_CN", ["zh", "en"]),
        ("en", ["en"]),
        ("en_GB", ["en"]),
        ("fr", ["en"]),
        ("pt_BR", ["en"]),
    ],
)
def test_a_locale_falls_back_step_by_step_to_english(asked, chain):
    assert locale_chain(asked, ["de", "en", "zh"]) == chain


def test_a_regional_catalogue_says_what_differs_and_leaves_the_rest_to_its_language():
    german = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    catalogues = {
        "de": german + 'msgid "Picked"\nmsgstr "Ausgesucht"\n\nmsgid "Go"\nmsgstr "Los"\n',
        "de_AT": german + 'msgid "Go"\nmsgstr "Auf geht’s"\n',
    }
    speech = translations(locale_chain("de_AT", list(catalogues)), catalogues)
    assert [speech.gettext(text) for text in ("Go", "Picked", "Thanks")] == [
        "Auf geht’s",
        "Ausgesucht",
        "Thanks",
    ]


@pytest.mark.parametrize(
    ("locale", "bare", "with_year"),
    [
        ("en", "bought Tea in November", "bought Tea in January 2017"),
        ("de", "Weil Sie im November Tea gekauft haben", "Weil Sie im Januar 2017 Tea gekauft haben"),
        ("zh", "因为您十一月买过 Tea", "因为您2017年1月买过 Tea"),
    ],
)
def test_a_purchase_that_led_to_a_product_is_named_with_its_month_and_an_old_one_with_its_year(
    locale, bare, with_year
):
    reason = {"reason": "because", "reason_product_name": "Tea"}
    for bought_date, days_since, said in [("2017-11-20", 14, bare), ("2017-01-03", 335, with_year)]:
        facts = with_product("picked_for_you", **reason, bought_date=bought_date, days_since=days_since)
        assert said in mail("picked_for_you", facts, locale).text


def test_a_month_has_its_name_in_each_language_whichever_was_asked_before():
    november = {"ar": "نوفمبر", "de": "November", "en": "November", "es": "noviembre", "fr": "novembre"}
    november |= {"ja": "11月", "zh": "十一月"}
    for locale in (*reversed(LOCALES), *LOCALES):
        env = environment(translations([], {}), formats_of(locale, [locale]), html=False)
        assert env.from_string("{{ '2017-11-20' | month(14) }}").render() == november[locale]


def test_a_day_of_purchase_that_is_no_day_is_refused():
    with pytest.raises(CampaignInvalid, match="'2017-02-30' is no day like 2017-12-04"):
        mail("picked_for_you", with_product("picked_for_you", bought_date="2017-02-30"))


@pytest.mark.parametrize(
    ("locale", "day", "said"),
    [
        ("en", "2017-12-04", "December 4, 2017"),
        ("de", "2017-12-04", "4. Dezember 2017"),
        ("zh", "2017-12-04", "2017年12月4日"),
        ("fr", "2021-01-01", "1er janvier 2021"),
    ],
)
def test_a_date_is_written_as_the_locale_writes_it(locale, day, said):
    env = environment(translations([], {}), formats_of(locale, [locale]), html=False)
    assert env.from_string("{{ day | day }}").render(day=day) == said


def test_a_mail_in_a_locale_without_catalogue_is_english_in_word_and_number():
    rendered = mail("winback/care", with_product("winback/care", price_cents=349), "pt")
    assert rendered == mail("winback/care", with_product("winback/care", price_cents=349), "en")


# --- links


def test_links_go_through_tracking_and_lead_to_the_stored_targets():
    tokens = Tokens(SecretStr("k" * 40))
    addresses = LinkAddresses.of("send1", "https://t.example/", tokens)
    rendered = render(template("winback/care"), example("winback/care"), "en", addresses)
    targets = {product["url"] for product in example("winback/care")["products"]} | {
        "https://juniper.example"
    }
    assert set(rendered.links.values()) == targets
    assert all(link_id == link_id_of(target) for link_id, target in rendered.links.items())
    followed = set()
    for address in Page(rendered.html).addresses:
        if address.startswith("https://t.example/c/"):
            followed.add(tokens.read(TokenKind.CLICK, address.removeprefix("https://t.example/c/")))
    assert followed == {("send1", link_id) for link_id in rendered.links}
    assert "https://juniper.example" not in rendered.html


def test_a_link_id_is_the_first_half_of_the_sha_256_that_a_shell_computes():
    # printf %s https://juniper.example | sha256sum | cut -c1-16
    assert link_id_of("https://juniper.example") == "aa357876c9272121"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//juniper.example/p/1",
        "/p/1",
        "",
        "https://evil.example/",
        "https://juniper.example.evil.example/",
        "https://juniper.example@evil.example/",
        "https://evil.example\\@juniper.example/",
        "https://juniper.example:8443/",
        "https://juniper.example/ a",
        'https://juniper.example/"onclick="x',
        "https://juniper.example/\r\nX",
        "https://[juniper.example/",
        "https://juniper.example/" + "a" * 2000,
        "https://jüniper.example/",
    ],
)
def test_a_link_to_anywhere_but_the_shop_stops_the_mail(url):
    with pytest.raises(CampaignInvalid, match=r"campaign 'winback' \(locale de\): the link"):
        mail("winback/care", with_product("winback/care", url=url), "de")


# --- facts that are missing or hostile


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"products": example("winback/care")["products"]}, r"needs 'days_since_last_order'"),
        (example("winback/care", copy={"subject": {"id": "time"}}), r"'copy.subject.text' is missing"),
        (example("winback/care", days_since_last_order=None), r"cannot use a fact"),
        (
            with_product("winback/care", price_cents="349"),
            r"facts: products\.0\.price_cents is '349'; input should be",
        ),
        (with_product("winback/care", price_cents=-1), r"products\.0\.price_cents is -1"),
        (with_product("winback/care", currency="dollars"), r"products\.0\.currency"),
        (with_product("winback/care", name="\u202e"), r"products\.0\.name is ''"),
        (example("winback/care", link="x"), r"the fact 'link' has a name that templates use otherwise"),
    ],
)
def test_a_fact_that_does_not_fit_names_campaign_fact_and_locale(facts, said):
    with pytest.raises(CampaignInvalid, match=said) as raised:
        mail("winback/care", facts, "de")
    assert str(raised.value).startswith("campaign 'winback' (locale de)")


def test_a_locale_that_is_none_is_refused():
    with pytest.raises(CampaignInvalid, match=r"'de; DROP' is not like 'de' or 'de_AT'"):
        mail("winback/care", locale="de; DROP")


def test_half_a_character_is_dropped_and_the_mail_goes_out():
    assert "\nab" in mail("winback/care", with_product("winback/care", name="a\ud800b")).text


def test_an_encoded_word_in_a_product_name_is_shown_as_it_was_typed_but_for_a_space():
    rendered = mail("restock", with_product("restock", name="=?utf-8?q?free?="))
    assert rendered.subject == "Running low on = ?utf-8?q?free?= ?"
