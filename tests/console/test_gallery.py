from campaigns.gallery import mails
from tests.console.made_up import NASTY


def test_the_page_offers_every_mail_and_shows_the_chosen_one_beside_its_text_part(console):
    path = "/gallery?mail=cart_abandonment/next_day&locale=de&customer="
    page = console.get(path + "no_name").text
    for campaign_id, step in mails():
        assert f'<option value="{f"{campaign_id}/{step}".rstrip("/")}"' in page
    for picked in ("cart_abandonment/next_day", "no_name", "de", "600", "light"):
        assert f'<option value="{picked}" selected>' in page
    nameless, named = console.words(path + "no_name"), console.words(path + "example")
    assert "Abmelden:" in nameless
    assert "✓ the guard-rails find nothing" in nameless
    assert "https://juniper.example" in nameless
    assert "127.0.0.1/c/" not in nameless
    assert "Ada" not in nameless  # as example.json has her
    assert "Ada" in named


def test_a_customer_of_the_newest_plan_is_shown_what_the_plan_knows(console):
    path = "/gallery{}?mail=restock&id=1005"
    words = console.words(path.format(""))
    assert "Oat Milk" in words
    preview = console.get(path.format("/preview"))
    assert "Oat Milk" in preview.text
    assert NASTY not in preview.text + console.get(path.format("")).text
    assert "sandbox" in preview.headers["content-security-policy"]
    for wrong in ("/gallery?mail=restock&id=9999", "/gallery?mail=winback/last_word&id=1002"):
        answer = console.get(wrong)
        assert (answer.status_code, "The newest plan has no such mail" in answer.text) == (404, True)


def test_what_cannot_be_shown_is_said(console):
    for query, status, words in (
        ("mail=spam", 404, "There is no mail “spam”"),
        ("customer=spam", 404, "there is no customer"),
        ("locale=xx", 404, "xx"),
        ("width=9", 400, "“width”"),
    ):
        answer = console.get(f"/gallery?{query}")
        assert (answer.status_code, words in console.words(f"/gallery?{query}")) == (status, True), query


def test_the_preview_leads_nowhere_and_loads_nothing(console):
    preview = console.get("/gallery/preview?mail=picked_for_you&scheme=dark").text
    assert "href=" not in preview
    assert "Leads to https://juniper.example/" in preview
    assert "127.0.0.1/o" not in preview
    assert "prefers-color-scheme" not in preview
