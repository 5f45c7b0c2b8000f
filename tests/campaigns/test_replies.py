# ruff: noqa: RUF001  # Chinese and Japanese punctuation is meant, and letters as wide as it
"""Answers to our mails: what their writers wrote themselves, what they want, and what a letter made to break its reader does.

The phrases are SYNTHETIC (`reply_phrases.yml`); the mails quoted are our golden ones, as mail programs quote.
"""

import doctest
import os
import random
import re
import time
from base64 import encodebytes
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from string import punctuation

import pytest
import yaml
from pydantic import SecretStr

import campaigns.replies.intents
from campaigns.bounces.mailboxes import ReturnedMail
from campaigns.bounces.mime import read_parts
from campaigns.replies.drafts import DRAFTS, draft
from campaigns.replies.intents import read_intent
from campaigns.replies.own_words import LONGEST, own_words
from campaigns.replies.phrases import LANGUAGES
from campaigns.replies.read import read_reply
from campaigns.replies.reply import Intent, Topic
from core.tokens import TokenKind, Tokens
from tests.campaigns.returned import BOUNCES
from tests.campaigns.test_bounces import hostile
from tests.faults.ledger_kit import send_id_of

MUTATIONS = int(os.environ.get("TEST_REPLIES", "1000"))
HERE = Path(__file__).parent
PHRASES = yaml.safe_load((HERE / "reply_phrases.yml").read_text("utf-8"))
TOKENS = Tokens(SecretStr("k" * 40))
CAME = datetime(2017, 12, 5, 9, tzinfo=UTC)
SUBJECT = "Re: Your favourites, starting with White Milk"
OWN = "Thanks, but the second one was torn.\n\nAda"


def quoted_mail(language: str) -> str:
    """The text of a golden mail, its stand-ins for tokens replaced by real ones."""
    mails = (HERE / "golden" / "winback.care.txt").read_text("utf-8")
    text = mails.partition(f"======== {language}\n")[2].partition("========")[0].partition("\n\n")[2]
    assert text.count("/c/") == 4
    click = TOKENS.sign(TokenKind.CLICK, send_id_of(0), "a24b2826ed80bf17")
    text = re.sub(r"/c/[0-9a-f]{16}", f"/c/{click}", text)
    return re.sub(r"/u$", f"/u/{TOKENS.sign(TokenKind.UNSUBSCRIBE, send_id_of(0))}", text, flags=re.MULTILINE)


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def letter(text: str, *, subject: str = SUBJECT, html: str = "", head: dict[str, str] | None = None) -> bytes:
    mail = EmailMessage(policy=default.clone(max_line_length=998))  # servers fold no address
    mail["From"], mail["To"], mail["Subject"] = "Ada <ada@example.com>", "hello@juniper.example", subject
    mail["In-Reply-To"] = f"<{send_id_of(0)}@juniper.example>"
    for name, value in (head or {}).items():
        mail[name] = value
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


def read(raw: bytes):
    return read_reply(ReturnedMail("1", raw, CAME), TOKENS)


# ---- the writer's own words ----

FROM = "Juniper Market <hello@juniper.example>"
ABOVE = {
    "Gmail": f"On Mon, 4 Dec 2017 at 10:00, {FROM} wrote:",
    "Gmail, broken": "On Mon, 4 Dec 2017 at 10:00, Juniper Market\n<hello@juniper.example> wrote:",
    "Apple, German": f"Am 04.12.2017 um 10:00 schrieb {FROM}:",
    "Gmail, German": f"Am Mo., 4. Dez. 2017 um 10:00 Uhr schrieb {FROM}:",
    "Gmail, French": f"Le lun. 4 déc. 2017 à 10:00, {FROM} a écrit :",
    "Gmail, Spanish": f"El lun, 4 dic 2017 a las 10:00, {FROM} escribió:",
    "Gmail, Chinese": f"{FROM} 于2017年12月4日周一 10:00写道：",
    "Gmail, Japanese": f"2017年12月4日(月) 10:00 {FROM}:",
    "Outlook": f"From: {FROM}\nSent: Monday, 4 December 2017 10:00\nTo: Ada\nSubject: Your favourites",
    "Outlook, bare": "From: Juniper Market\nSent: Monday, 4 December 2017 10:00\nTo: Ada",
    "Outlook, German": "Von: Juniper Market\nGesendet: Montag, 4. Dezember 2017 10:00\nAn: Ada",
    "Outlook, French": "De : Juniper Market\nEnvoyé : lundi 4 décembre 2017 10:00\nÀ : Ada",
    "Outlook, Chinese": "发件人: Juniper Market\n发送时间: 2017年12月4日 10:00",
    "a rule": "-----Original Message-----",
    "a German rule": "-------- Ursprüngliche Nachricht --------",
    "Outlook's line": "________________________________",
    "bold": f"*From:* {FROM}",
    "a telephone": "Sent from my iPhone",
    "another telephone": "Get Outlook for iOS",
    "a signature": "-- \nAda Lovelace\n+1 555 0100",
}


@pytest.mark.parametrize("above", ABOVE.values(), ids=ABOVE)
@pytest.mark.parametrize("mark", [str, quoted], ids=["plain", "marked"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_our_mail_is_cut_off_however_a_mail_program_quotes_it(above, mark, language):
    raw = letter(f"{OWN}\n\n{above}\n\n{mark(quoted_mail(language))}")
    assert own_words(read_parts(raw)) == OWN


def test_words_between_and_below_what_is_marked_as_quoted_are_kept():
    raw = letter(
        f"> Bananas · $0.99\nThese were brown.\n> Vanilla Ice Cream\nThis was fine.\n{quoted(quoted_mail('en'))}"
    )
    assert own_words(read_parts(raw)) == "These were brown.\nThis was fine."


@pytest.mark.parametrize(
    "quote",
    [
        '<div class="gmail_quote"><div>On Mon, Juniper wrote:<br></div>{}</div>',
        '<blockquote type="cite">{}</blockquote>',
        '<div id="divRplyFwdMsg"><b>From:</b> Juniper</div>{}',
        "<div><p><b>From:</b> Juniper Market &lt;hello@juniper.example&gt;<br><b>Sent:</b> Monday</p></div>{}",
        "{}",
    ],
    ids=["Gmail", "Apple", "Outlook on the web", "Outlook", "nothing"],
)
@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_our_mail_is_cut_off_a_page_too(quote, encoding):
    link = f"https://t.example/u/{TOKENS.sign(TokenKind.UNSUBSCRIBE, send_id_of(0))}"
    ours = f'<p><a href="{link}">Unsubscribe</a></p><p>Unsubscribe</p>'
    page = f"<html><body><div>The second one was torn.</div>{quote.format(ours)}</body></html>"
    mail = EmailMessage()
    mail.set_content(page, subtype="html", cte=encoding)
    assert own_words(read_parts(mail.as_bytes())) == "The second one was torn."


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_own_unsubscribe_line_unsubscribes_nobody(language):
    """Answers with nothing of their own, and our whole mail below, quoted in no way we know."""
    assert read(letter(quoted_mail(language))).intent is not Intent.UNSUBSCRIBE
    assert read(letter(f"Lovely!\n\n{quoted_mail(language)}")).intent is Intent.PRAISE


def test_what_is_kept_is_short_printable_and_without_addresses():
    raw = letter("Write to ada@example.com\x07\u202e or <b>bo@example.org</b> {{ 7*7 }}\n" + "long " * 1000)
    found = own_words(read_parts(raw))
    assert found.startswith("Write to [address] or <b>[address]</b> {{ 7*7 }}\nlong long")
    assert len(found) <= LONGEST
    assert all(letter.isprintable() or letter == "\n" for letter in found)


# ---- what they want ----


def test_there_are_phrases_of_every_intent_in_every_language():
    assert set(PHRASES) == set(LANGUAGES)
    assert all(set(found) == set(Intent) for found in PHRASES.values())
    assert sum(len(each) for found in PHRASES.values() for each in found.values()) == 264


@pytest.mark.parametrize("language", LANGUAGES)
def test_synthetic_phrases_are_understood_and_nobody_is_unsubscribed_by_another_one(language):
    asked = [(intent, phrase) for intent, phrases in PHRASES[language].items() for phrase in phrases]
    found = [read_intent(phrase, SUBJECT) for _, phrase in asked]
    right = [reading.intent == intent for (intent, _), reading in zip(asked, found, strict=True)]
    assert sum(right) / len(right) >= 0.95
    left = {
        phrase
        for (_, phrase), reading in zip(asked, found, strict=True)
        if reading.intent is Intent.UNSUBSCRIBE
    }
    assert left <= set(PHRASES[language]["unsubscribe"])
    told = [reading.language for reading in found if reading.language]
    assert told.count(language) / len(told) >= 0.9


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("You sent rubbish, I am angry. Unsubscribe me!", Intent.UNSUBSCRIBE),
        ("The scarf is torn. Can I return it?", Intent.COMPLAINT),
        ("Thanks for the great service! When does my parcel arrive?", Intent.QUESTION),
        ("Please don\u2019t unsubscribe me", Intent.OTHER),
        ("I can\u2019t unsubscribe", Intent.UNSUBSCRIBE),
        ("Ich kann mich nicht abmelden", Intent.UNSUBSCRIBE),
        ("Ich möchte mich nicht abmelden", Intent.OTHER),
        ("No puedo darme de baja", Intent.UNSUBSCRIBE),
        ("No quiero darme de baja", Intent.OTHER),
        ("配信停止ができません", Intent.UNSUBSCRIBE),
        ("配信停止はしないで", Intent.OTHER),
        ("Ｕｎｓｕｂｓｃｒｉｂｅ", Intent.UNSUBSCRIBE),
        ("Please cancel my order", Intent.OTHER),
        ("The bus to the shop stopped early", Intent.OTHER),
        ("", Intent.OTHER),
    ],
)  # fmt: skip
def test_leaving_goes_before_anger_anger_before_a_question_and_a_question_before_thanks(text, intent):
    assert read_intent(text, SUBJECT).intent is intent


@pytest.mark.parametrize(
    "text",
    [
        "Please stop my order, and send me a new one.",
        "Please stop sending the wrong size.",
        "I got no more mails about my order, where is it?",
        "Take the scarf off my wish list",
        "Hören Sie auf, mir falsche Größen zu schicken!",
        "Ich habe keine E-Mail mehr zu meiner Bestellung bekommen.",
        "Bitte melden Sie sich, ab wann der Mantel da ist.",
        "Je ne veux plus recevoir la commande à la maison.",
        "Arrêtez de m'envoyer la mauvaise taille !",
        "Supprimez mon adresse de livraison, j'ai déménagé.",
        "No quiero recibir el paquete en casa.",
        "Dejen de enviarme la talla equivocada.",
        "No me envíen más camisas rotas.",
        "请不要发错货。",
        "不用寄红色的",
        "もう三週間も届かない。",
        "もう受け取りました。",
        "サイズ交換はもう不要です。",
    ],
)
def test_who_wants_something_else_is_not_unsubscribed_by_a_word_that_is_like_it(text):
    assert read_intent(text, SUBJECT).intent is not Intent.UNSUBSCRIBE


@pytest.mark.parametrize(
    ("subject", "intent"),
    [
        ("unsubscribe", Intent.UNSUBSCRIBE),
        ("STOP!", Intent.UNSUBSCRIBE),
        ("Re: Stop the press", Intent.OTHER),
    ],
)
def test_a_subject_counts_as_a_command_or_not_at_all(subject, intent):
    assert read_intent("", subject).intent is intent


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Where is my parcel?", Topic.DELIVERY),
        ("Wie kann ich das umtauschen?", Topic.RETURN),
        ("Avez-vous ce modèle en taille 42 ?", Topic.SIZE),
        ("¿Queda el azul en stock?", Topic.STOCK),
        ("能把发票发给我吗？", Topic.PAYMENT),
        ("注文の変更は可能ですか？", Topic.ORDER),
        ("Is it made of wool?", Topic.PRODUCT),
        ("Who are you?", None),
    ],
)
def test_a_question_has_its_topic(text, topic):
    assert (read_intent(text, SUBJECT).intent, read_intent(text, SUBJECT).topic) == (Intent.QUESTION, topic)


def test_examples_in_docstrings_hold():
    found = doctest.testmod(campaigns.replies.intents)
    assert found.attempted > 0
    assert found.failed == 0


# ---- drafts ----


def test_every_language_has_a_draft_for_complaints_and_every_topic():
    drafts = yaml.safe_load(DRAFTS.read_text("utf-8"))
    wanted = {"opening", "closing", "complaint", "question", *Topic}
    assert {language: set(found) for language, found in drafts.items()} == dict.fromkeys(LANGUAGES, wanted)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_draft_states_no_fact_what_is_one_is_left_to_be_filled_in(settings, language):
    for topic in (None, *Topic):
        text = str(draft(Intent.QUESTION, topic, language, settings))
        assert "[" in text
        assert not re.search(r"\d|https?:|@|\{", re.sub(r"\[[^\]]*\]", "", text))
        assert text.endswith("Juniper Market")


def test_a_letter_in_no_language_we_know_is_answered_in_the_shops(settings):
    german = settings.model_copy(update={"shop_locale": "de"})
    assert "Freundliche Grüße" in str(draft(Intent.COMPLAINT, None, "", german))
    assert draft(Intent.PRAISE, None, "en", settings) is None


# ---- reading never fails ----


def test_an_answer_is_tied_to_its_send_and_a_letter_that_names_none_is_left_alone():
    to_us = {"Delivered-To": f"{TOKENS.reply_path(send_id_of(3))}@{BOUNCES}"}
    assert (read(letter("ok", head=to_us)).send_id, read(letter("ok", head=to_us)).is_proven) == (
        send_id_of(3),
        True,
    )
    claimed = read(letter("ok"))
    assert (claimed.send_id, claimed.is_proven) == (send_id_of(0), False)
    assert read(letter("ok").replace(send_id_of(0).encode(), b"5f2d")) is None
    report = letter("ok").replace(b"text/plain", b"multipart/report; report-type=disposition-notification")
    assert read(report) is None


def test_words_are_no_part_of_what_an_answer_looks_like_in_a_log():
    assert "torn" not in repr(read(letter("It is torn")))


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """Cut, repeat, swap and overwrite pieces of a letter."""
    for _ in range(rng.randint(1, 6)):
        start = rng.randrange(len(raw) or 1)
        end = min(len(raw), start + rng.randint(1, 200))
        piece = raw[start:end]
        change = rng.randrange(5)
        if change == 0:
            raw = raw[:start] + raw[end:]
        elif change == 1:
            raw = raw[:start] + piece * rng.randint(2, 9) + raw[end:]
        elif change == 2:
            raw = raw[:start] + rng.randbytes(len(piece)) + raw[end:]
        elif change == 3:
            raw = raw[end:] + piece + raw[:start]
        else:
            raw = raw[:start] + rng.choice(punctuation).encode() * len(piece) + raw[end:]
    return raw


@pytest.mark.timeout(3600)
def test_no_mutilated_letter_stops_the_reader_and_none_is_proven_by_another_token():
    rng = random.Random(20171204)
    to_us = {"Delivered-To": f"{TOKENS.reply_path(send_id_of(0))}@{BOUNCES}"}
    phrases = [phrase for found in PHRASES.values() for each in found.values() for phrase in each]
    read_at_all = 0
    for number in range(MUTATIONS):
        own = str(rng.choice(phrases))
        below = f"\n\n{rng.choice(list(ABOVE.values()))}\n{quoted(quoted_mail(rng.choice(LANGUAGES)))}"
        html = f"<p>{own}</p><blockquote>{below}</blockquote>" if number % 2 else ""
        found = read(mutate(letter(own + below, html=html, head=to_us if number % 3 else None), rng))
        if found is not None:
            read_at_all += 1
            assert not found.is_proven or found.send_id == send_id_of(0)
            assert len(found.text) <= LONGEST
    assert read_at_all > 0.5 * MUTATIONS


def test_no_letter_keeps_the_reader_busy():
    slow = {}
    letters = hostile() | {
        f"words of {each!r}": letter(each * (200_000 // len(each)))
        for each in ("stop ", "not ", "no more ", "keine mails ", "ne veux plus ", "no quiero ", "不要再", "もう", "/c/" + "a" * 400)
    } | {"a page of links": letter("", html="<a /c/" + "a" * 64_000)}  # fmt: skip
    for what, raw in letters.items():
        began = time.process_time()
        read(raw.replace(b"\n\n", f"\nIn-Reply-To: <{send_id_of(0)}@juniper.example>\n\n".encode(), 1))
        slow[what] = time.process_time() - began
    assert len(slow) > 90
    worst = max(slow, key=slow.__getitem__)
    assert slow[worst] < 1.0, f"{worst}: {slow[worst]:.2f} s of CPU"


def test_a_letter_in_base64_is_read():
    body = encodebytes(b"Bitte abmelden").decode()
    raw = letter("x").partition(b"\n\n")[0].replace(b"7bit", b"base64") + b"\n\n" + body.encode()
    assert read(raw).intent is Intent.UNSUBSCRIBE
