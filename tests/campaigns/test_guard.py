# ruff: noqa: RUF001  # mails are set with typographic quotes and, in Chinese, full-width stops
from typing import Any

import pytest

from campaigns.definitions import load_brand
from campaigns.guard import LONGEST_SHOWN, faults, faults_of_slot, language_of

BRAND = load_brand()
FACTS: dict[str, Any] = {
    "first_name": "Ada",
    "left_date": "2017-12-03",
    "days_since_last_order": 41,
    "offer": {"discount_percent": 15, "min_spend_cents": 3000, "currency": "USD", "valid_until": "2017-12-18"},
    "products": [
        {"product_id": "7", "name": "Route 66 Hurry-Up Soup", "price_cents": 349, "currency": "USD", "url": "x", "reason": "due",
         "usual_gap_days": 12.4}
    ],
}  # fmt: skip
PREHEADER = "You put it into your cart on December 3, 2017."
TEXT = (
    "Hello Ada, your last order was 41 days ago, and you used to come by about every 12 days. Route 66 Hurry-Up Soup is $3.49. "
    "15% off orders of $30.00 or more until December 18, 2017: the code is 7K2QM-9XA4T.\nhttps://t.example/c/123"
)


def found(text: str = TEXT, subject: str = "Still thinking it over?", locale: str = "en") -> list[str]:
    return list(faults(subject, PREHEADER, text, FACTS, locale, BRAND))


def test_a_mail_that_states_its_facts_as_the_locale_writes_them_passes():
    assert found() == []


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("Save 20% on the soup.", "the text states '20', which is no fact of this mail"),
        ("It is $3.50.", "the text states '3.50', which is no fact of this mail"),
        ("It is $13.49.", "the text states '13.49', which is no fact of this mail"),
        ("Only until December 19, 2017.", "the text states '19', which is no fact of this mail"),
        ("We delivered 1,241 of these.", "the text states '1,241', which is no fact of this mail"),
        ("It is €cheap.", "the text states a price with '€', which is no fact of this mail"),
        ("Hello {{ name }}!", "the text holds '{{', a slot that nothing filled"),
        ("It costs None.", "the text holds 'None', a slot that nothing filled"),
        ("Dear %(name)s!", "the text holds '%(name)s', a slot that nothing filled"),
        ("Hurry, it sells fast.", "the text says 'Hurry': urgency that is not the reader’s"),
        ("It is the CHEAPEST soup.", "the text says 'CHEAPEST': a comparison that we cannot prove"),
    ],
)
def test_what_is_no_fact_or_should_not_be_said_is_named_with_the_reason(added, said):
    assert said.replace("’", "'") in [fault.replace("’", "'") for fault in found(f"{TEXT} {added}")]


def test_words_inside_the_name_of_a_product_are_the_shops_own():
    assert found(TEXT.replace("Hello Ada", "Hurry-Up")) != []
    assert found() == []


def test_a_line_that_no_inbox_shows_whole_is_too_long_and_a_wide_character_counts_twice():
    assert "the subject takes 111 columns; allowed: 110" in found(subject="and so " * 15 + "on" * 3)
    assert "the subject takes 112 columns; allowed: 110" in found(subject="茶" * 56)
    assert not [fault for fault in found(subject="茶" * 55) if "columns" in fault]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        # Universal Declaration of Human Rights, article 1, in its official translations
        (
            "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
            "en",
        ),
        (
            "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.",
            "de",
        ),
        (
            "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison.",
            "fr",
        ),
        (
            "Todos los seres humanos nacen libres e iguales en dignidad y derechos, dotados como están de razón.",
            "es",
        ),
        ("すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。", "ja"),
        ("人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。", "zh"),
        ("يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.", "ar"),
        ("12 + 30", None),
    ],
)
def test_a_text_is_known_by_its_language(text, language):
    assert language_of(text) == language


def test_a_mail_in_another_language_than_was_wanted_is_named():
    assert "the mail is in en, and should be in de" in found(locale="de")


def slot_faults(text: str, slot: str = "lead", locale: str = "en", **facts: object) -> list[str]:
    names = ["Acme", "Zoë", "Golden Valley", "Bread", "Route 66 Hurry-Up Soup"]
    return list(faults_of_slot(slot, text, {"products": FACTS["products"], **facts}, locale, BRAND, names))


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "Route 66 Hurry-Up Soup is waiting, and we are glad to see you at Juniper Market."),
        ("en", "I’ve picked this for you, Ada. Have a look."),
        ("fr", "Connaissez-vous Route 66 Hurry-Up Soup ?"),
        ("de", "Neue Ideen für Ihren nächsten Einkauf"),
        ("ja", "Route 66 Hurry-Up Soupはいかがですか？"),
        ("ja", "新着商品"),
        ("zh", "试过 Route 66 Hurry-Up Soup 吗？"),
        ("ar", "هل جرّبتم Route 66 Hurry-Up Soup؟"),
    ],
)
def test_a_slot_may_name_what_is_a_fact_of_the_mail(locale, text):
    assert slot_faults(text, locale=locale, first_name="Ada") == []


@pytest.mark.parametrize(
    ("locale", "text", "said"),
    [
        ("en", "Ask for Acme at the counter", "names 'Acme', which is no fact of this mail"),
        ("en", "Fresh from golden valley", "names 'Golden Valley', which is no fact of this mail"),
        ("en", "We have this from Heinz for you", "names 'Heinz', which is no fact of this mail"),
        ("en", "Hello, Ada, this is for you", "names 'Ada', which is no fact of this mail"),
        ("de", "Neu von Acme", "names 'Acme', which is no fact of this mail"),
        ("fr", "Pour vous et pour Zoë", "names 'Zoë', which is no fact of this mail"),
        ("es", "Para ti, de parte de Carlos", "names 'Carlos', which is no fact of this mail"),
        ("ja", "Heinzの新商品", "names 'Heinz', which is no fact of this mail"),
        ("zh", "来自 Heinz 的新品", "names 'Heinz', which is no fact of this mail"),
        ("ar", "جديد من Heinz", "names 'Heinz', which is no fact of this mail"),
        ("en", "A discount for you", "says 'discount', which needs the fact offer"),
        ("en", "Popular right now", "says 'Popular', which needs the fact popular or popular_in_segment"),
        ("en", "The best there is", "says 'The best': a comparison that we cannot prove"),
        ("de", "Jetzt günstiger", "says 'günstiger', which needs the fact price_drop"),
        ("zh", "热销商品", "says '热销', which needs the fact popular or popular_in_segment"),
        ("en", "Discounts on dairy are waiting", "says 'Discounts', which needs the fact offer"),
        ("en", "Organically grown for you", "says 'Organically': a protected word"),
        ("en", "With free delivery", "says 'free delivery': what is free has conditions"),
        ("de", "Mit Rabattcode für Sie", "says 'Rabattcode', which needs the fact offer"),
        ("de", "Ihr Geburtstagsgutschein ist da", "says 'Geburtstagsgutschein', which needs the fact offer"),
        ("fr", "Livraison gratuite pour vous", "says 'gratuite': avec ses conditions seulement"),
        ("es", "La mejor leche para ti", "says 'La mejor': una comparación"),
        ("ar", "منتجات بخصم كبير لكم", "says 'بخصم', which needs the fact offer"),
        ("en", "Only $3.99", "states '3.99', which is no fact of this mail"),
        ("en", "Until the 5th", "states '5', which is no fact of this mail"),
        ("en", "For you, {{ first_name }}", "holds '{{', a slot that nothing filled"),
        ("en", "Wir haben etwas für Sie und die Familie", "is in de, and should be in en"),
        ("de", "We picked this for you and the family", "is in en, and should be in de"),
        ("en", " ", "the lead says nothing"),
    ],
)
def test_a_slot_that_states_what_is_no_fact_is_rejected_and_says_why(locale, text, said):
    assert [fault for fault in slot_faults(text, locale=locale) if said in fault]


def test_a_claim_that_a_fact_backs_may_be_made():
    offer = FACTS["offer"]
    assert slot_faults("A discount for you", offer=offer) == []
    assert slot_faults("A discount for you", offer=None) != []
    popular = [FACTS["products"][0] | {"reason": "popular"}]
    assert slot_faults("Popular right now", products=popular) == []


def test_a_fact_stands_for_no_part_of_a_word_and_no_products_for_no_number():
    small = [FACTS["products"][0] | {"size": "S"}]
    assert slot_faults("A discount for you", products=small, offer=None) != []
    assert slot_faults("This fits in size S", products=small) == []
    assert list(faults_of_slot("lead", "For you at 0 interest", {}, "en", BRAND)) != []


@pytest.mark.parametrize("slot", LONGEST_SHOWN)
def test_each_slot_has_a_length_that_it_may_not_pass(slot):
    assert slot_faults("a" * LONGEST_SHOWN[slot], slot) == []
    assert f"allowed: {LONGEST_SHOWN[slot]}" in slot_faults("a" * (LONGEST_SHOWN[slot] + 1), slot)[0]


def test_what_copy_says_is_no_fact_of_its_own():
    text = "Now $9.99 from Acme"
    copy = {"lead": {"id": "w1", "text": text}}
    assert len(slot_faults(text, copy=copy)) == len(slot_faults(text)) > 1
