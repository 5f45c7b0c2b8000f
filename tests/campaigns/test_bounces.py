"""Reports by the book (RFC 3464, RFC 5965, RFC 3834), what servers say in them, and mails made to break whoever reads them."""

import base64
import re
import time

import pytest

from campaigns.bounces.mime import LONGEST
from campaigns.bounces.notice import Kind, Notice, Reason, Severity
from campaigns.bounces.read import MOST_RECIPIENTS, read_notice
from tests.arch.kit import ROOT

OURS = """\
From: Juniper <hello@juniper.example>
To: ada@example.com
Subject: New in store
Message-ID: <5f2d@juniper.example>
X-Lapwing-Send: 5f2d
"""
FAILED = """\
Final-Recipient: rfc822; ada@example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
"""


def report(*groups: str, original: str = OURS, original_type: str = "text/rfc822-headers") -> bytes:
    """A delivery status report in the form of RFC 3464's appendix."""
    fields = "\n".join(["Reporting-MTA: dns; mx.example.net\n", *groups])
    mail = f"""\
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
To: <bounces@juniper.example>
Subject: Returned mail
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary="frontier"

--frontier

Your message could not be delivered.

--frontier
Content-Type: message/delivery-status

{fields}
--frontier
Content-Type: {original_type}

{original}
--frontier--
"""
    return mail.replace("\n", "\r\n").encode()


def letter(
    subject: str, text: str = "Thank you.", *, sender: str = "ada@example.com", head: str = ""
) -> bytes:
    return f"From: {sender}\nTo: bounces@juniper.example\nSubject: {subject}\n{head}\n{text}\n".encode()


def only(notice: Notice):
    [recipient] = notice.recipients
    return recipient


def test_a_report_names_each_failed_recipient_and_our_mail():
    notice = read_notice(
        report(
            FAILED,
            "Original-Recipient: rfc822;bo@example.com\nFinal-Recipient: rfc822;box7@mail.example.org\n"
            "Action: delayed\nStatus: 4.4.1 (no answer\n from host)\n",
            "Final-Recipient: rfc822;cy@example.com\nAction: delivered\nStatus: 2.0.0\n",
            "Final-Recipient: rfc822; e\x1bv@example.com\nAction: failed\nStatus: 5.1.1\n",
            "Final-Recipient: x400; /S=dee@here/C=GB/\nAction: failed\nStatus: 5.1.1\n",
        )
    )
    assert (notice.kind, notice.message_id, notice.send_id) == (Kind.BOUNCE, "5f2d@juniper.example", "5f2d")
    ada, bo = notice.recipients
    assert (ada.address, ada.severity, ada.reason) == (
        "ada@example.com",
        Severity.HARD,
        Reason.MAILBOX_UNKNOWN,
    )
    assert (ada.status, ada.diagnostic) == ("5.1.1", "smtp; 550 5.1.1 User unknown")
    assert (bo.address, bo.final_address) == ("bo@example.com", "box7@mail.example.org")
    assert (bo.severity, bo.reason, bo.status) == (Severity.SOFT, Reason.UNREACHABLE, "4.4.1")


def test_a_report_is_read_where_another_mail_carries_it():
    inner = report(FAILED, original=OURS + "\nHello.\n", original_type="message/rfc822").decode()
    outer = (
        f'From: it@example.com\nSubject: Fwd\nContent-Type: multipart/mixed; boundary="out"\n\n--out\n\nSee below.\n'
        f"--out\nContent-Type: message/rfc822\n\n{inner}\n--out--\n"
    )
    for notice in (read_notice(outer.encode()), read_notice(inner.encode())):
        assert (only(notice).address, only(notice).reason) == ("ada@example.com", Reason.MAILBOX_UNKNOWN)
        assert notice.send_id == "5f2d"


def test_a_receipt_of_success_blames_nobody():
    receipt = report(FAILED.replace("failed", "relayed").replace("5.1.1", "2.1.9"))
    assert read_notice(receipt) == Notice(Kind.OTHER, (), "5f2d@juniper.example", "5f2d")


@pytest.mark.parametrize(
    ("words", "severity", "reason"),
    [  # as large providers and common servers word them; where a code is a standard's, its meaning is in RFC 3463 or 5321
        ("550-5.1.1 The email account that you tried to reach does not exist.", "hard", "mailbox_unknown"),
        ("550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", "hard", "mailbox_unknown"),
        ("450 4.1.1 Recipient address rejected: unverified address", "soft", "mailbox_unknown"),
        ("550 5.2.1 The email account that you tried to reach is disabled.", "hard", "mailbox_disabled"),
        ("554 delivery error: This mailbox is disabled (554.30).", "hard", "mailbox_disabled"),
        ("552-5.2.2 The email account that you tried to reach is over quota.", "soft", "mailbox_full"),
        ("452 4.2.2 Mailbox full", "soft", "mailbox_full"),
        ("556 5.1.10 Recipient address has null MX", "hard", "domain_unknown"),
        ("Host or domain name not found. Name service error for name=shop.example type=MX", "hard", "domain_unknown"),
        ("554 5.7.1 Relay access denied", "soft", "relaying"),
        ("550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example", "soft", "spam"),
        ("550 5.7.1 Our system has detected that this message is likely unsolicited mail", "soft", "spam"),
        ("550 5.7.26 This mail is unauthenticated: DMARC of the domain is reject", "soft", "policy"),
        ("550 5.4.1 Recipient address rejected: Access denied.", "soft", "policy"),
        ("552 5.3.4 Message size exceeds fixed limit", "soft", "size"),
        ("451 4.7.1 Greylisting in action, please come back later", "soft", "temporary"),
        ("421 4.3.2 System not accepting network messages", "soft", "temporary"),
        ("connect to mx.example.com[192.0.2.7]:25: Connection timed out", "soft", "unreachable"),
        ("554 5.4.14 Hop count exceeded - possible mail loop", "soft", "loop"),
        ("4.4.7 Message expired: unable to deliver in 840 minutes", "soft", "expired"),
        ("550 Qxz", "hard", "other"),  # RFC 5321: mailbox unavailable
        ("554 Qxz", "soft", "other"),  # transaction failed
        ("451 Qxz", "soft", "temporary"),
    ],
)  # fmt: skip
def test_what_servers_say_has_one_of_our_reasons(words, severity, reason):
    group = f"Final-Recipient: rfc822; ada@example.com\nAction: failed\nDiagnostic-Code: smtp; {words}\n"
    recipient = only(read_notice(report(group)))
    assert (recipient.severity, recipient.reason) == (severity, reason)


def test_a_mail_still_on_its_way_condemns_no_address():
    recipient = only(read_notice(report(FAILED.replace("failed", "delayed"))))
    assert recipient.severity == Severity.SOFT


COMPLAINT = """\
From: <abuse@provider.example>
To: <complaints@juniper.example>
Subject: FW: New in store
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain

This is a report for a message received from 192.0.2.1.
--part
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: SomeGenerator/1.0
Version: 1
{fields}
--part
Content-Type: message/rfc822

{original}
Hello.
--part--
"""


@pytest.mark.parametrize("fields", ["Original-Rcpt-To: <ada@example.com>", "Source-IP: 192.0.2.1"])
def test_a_complaint_is_about_whoever_the_report_or_our_own_mail_names(fields):
    notice = read_notice(COMPLAINT.format(type="abuse", fields=fields, original=OURS).encode())
    assert (notice.kind, notice.send_id, notice.message_id) == (
        Kind.COMPLAINT,
        "5f2d",
        "5f2d@juniper.example",
    )
    assert (only(notice).address, only(notice).reason) == ("ada@example.com", Reason.COMPLAINT)


def test_a_report_that_a_mail_was_no_spam_is_no_complaint():
    raw = COMPLAINT.format(
        type="not-spam", fields="Original-Rcpt-To: <ada@example.com>", original=OURS
    ).encode()
    assert read_notice(raw) == Notice(Kind.OTHER, (), "5f2d@juniper.example", "5f2d")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (letter("Re: New in store", head="Auto-Submitted: auto-replied\n"), Kind.AUTO_REPLY),
        (letter("Re: New in store", head="Auto-Submitted: auto-replied (vacation)\n"), Kind.AUTO_REPLY),
        (letter("Your ticket", head="X-Autoreply: yes\n"), Kind.AUTO_REPLY),
        (letter("Out of Office: New in store"), Kind.AUTO_REPLY),
        (letter("=?utf-8?b?" + base64.b64encode("Réponse automatique".encode()).decode() + "?="), Kind.AUTO_REPLY),
        (letter("=?iso-8859-1?q?Automatische_Antwort=3A_Im_B=FCro?="), Kind.AUTO_REPLY),
        (letter("Re: New in store", "bo@example.com: user unknown, I hear?", head="Auto-Submitted: no\n"), Kind.OTHER),
        (letter("Re: New in store"), Kind.OTHER),
        (b"", Kind.OTHER),
    ],
)  # fmt: skip
def test_answers_of_programs_and_people_are_told_from_bounces(raw, kind):
    assert read_notice(raw) == Notice(kind)


def test_a_bounce_in_words_of_its_own_names_recipient_and_mail():
    text = (
        f"Hi. I was not able to deliver your message.\n\n<ada@example.com>:\nNo mailbox here by that name. (#5.1.1)\n\n"
        f"--- Below this line is a copy of the message.\n\n{OURS}\nWrite to <help@juniper.example>: we answer.\n"
    )
    notice = read_notice(letter("failure notice", text, sender="MAILER-DAEMON@mx.example.net"))
    assert (notice.kind, notice.send_id, notice.message_id) == (Kind.BOUNCE, "5f2d", "5f2d@juniper.example")
    assert (only(notice).address, only(notice).status) == ("ada@example.com", "5.1.1")
    assert only(notice).severity == Severity.HARD


def test_diagnostics_are_bounded_lines_without_addresses_or_control_characters():
    words = "550 <ada@example.com> \x1b[31m<b>no\u202eway</b>\x00" + "x" * 9000
    recipient = only(read_notice(report(FAILED.replace("550 5.1.1 User unknown", words))))
    assert recipient.diagnostic.startswith("smtp; 550 <[address]>")
    assert recipient.diagnostic.isprintable()
    assert len(recipient.diagnostic) == 500
    assert "ada" not in repr(recipient)


@pytest.mark.parametrize("charset", ["windows-99", "hex", "undefined", "punycode", "iso-8859-1", "x" * 5000])
def test_a_charset_nobody_knows_hides_no_recipient(charset):
    head = f"Content-Type: text/plain; charset={charset}\n"
    raw = letter(
        "failure notice", "<ada@example.com>:\nno such user", sender="MAILER-DAEMON@mx.example.net", head=head
    )
    assert (only(read_notice(raw)).address, only(read_notice(raw)).severity) == (
        "ada@example.com",
        Severity.HARD,
    )


HEAD = b"From: mailer-daemon@example.net\nSubject: failure notice\nContent-Type: "


def hostile() -> dict[str, bytes]:
    """Mails made to keep a reader busy: 10 MB each, deep, wide, or of one line that every pattern begins to match."""
    lines = ("-", "=", "a", "a.", "a@", "<", "<a", " ", "\t", ";", "=?a?q?", "to: ", "user ", "host x ", "550 ", "5.1.", "=\n", "\n",
             "\n ", "--\n", "\n--x", "message-id:\n", "x-lapwing-send: ", "&#", "*-", "mail ", "delivery ", "to <", "550", "\r")  # fmt: skip
    plain = {
        f"a text of {each!r}": HEAD + b"text/plain\n\n" + each.encode() * (10_000_000 // len(each))
        for each in lines
    }
    page = {
        f"a page of {each!r}": HEAD + b"text/html\n\n" + each.encode() * (10_000_000 // len(each))
        for each in lines
    }
    nest = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(100_000)
    )
    letters = b"Content-Type: message/rfc822\n\n" * 300_000
    head = b"From: mailer-daemon@example.net\n" + b"".join(b"X-%d: y\n" % n for n in range(500_000))
    groups = [f"Final-Recipient: rfc822; a{n}@example.com\nAction: failed\n" for n in range(100_000)]
    one = "Final-Recipient: rfc822; ada@example.com\nAction: failed\nDiagnostic-Code: "
    long = {
        f"a diagnostic of {each!r}": report(one + each * (10_000_000 // len(each)))
        for each in lines
        if "\n" not in each
    }
    return plain | page | long | {
        "a nest of parts": HEAD + b"multipart/mixed; boundary=b\n\n--b\n" + nest,
        "a nest of mails": letters,
        "a million parts": HEAD + b"multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 1_000_000,
        "a long head": head,
        "a long field": b"Subject: " + b"=?utf-8?q?=41?= " * 600_000,
        "many recipients": report(*groups),
        "many diagnostics": report(*[f"{group}Diagnostic-Code: {'-5.1.' * 800}\n" for group in groups[:100]]),
        "many addresses": HEAD + b"text/plain\n\n" + "".join(f"a{n}@example.com\n" for n in range(600_000)).encode(),
    }  # fmt: skip


def test_no_mail_keeps_the_reader_busy():
    slow = {}
    for what, raw in hostile().items():
        began = time.process_time()
        notice = read_notice(raw)
        slow[what] = time.process_time() - began
        assert len(notice.recipients) <= MOST_RECIPIENTS
    assert len(slow) > 90
    worst = max(slow, key=slow.__getitem__)
    assert slow[worst] < 1.0, f"{worst}: {slow[worst]:.2f} s of CPU"


def test_what_stands_behind_the_first_mebibyte_is_not_read():
    raw = report(FAILED)
    head, _, rest = raw.partition(b"--frontier")
    assert only(read_notice(head + b" " * 1000 + b"\r\n--frontier" + rest)).address == "ada@example.com"
    assert read_notice(head + b" " * LONGEST + b"\r\n--frontier" + rest).recipients == ()


def test_the_page_explains_every_reason():
    page = (ROOT / "docs/bounces.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|.*\| (hard|soft)", page, re.MULTILINE)
    assert {name for name, _ in listed} == set(Reason)
    assert len(listed) == len(Reason)


def test_recipients_that_only_exims_header_names_are_found():
    head = "X-Failed-Recipients: ada@example.com,\n bo@example.com\n"
    text = "The following address(es) failed:\n\n  quota exceeded\n"
    raw = letter(
        "Mail delivery failed: returning message to sender",
        text,
        sender="Mailer-Daemon@mx.example.net",
        head=head,
    )
    assert {(each.address, each.reason) for each in read_notice(raw).recipients} == {
        ("ada@example.com", Reason.MAILBOX_FULL),
        ("bo@example.com", Reason.MAILBOX_FULL),
    }
