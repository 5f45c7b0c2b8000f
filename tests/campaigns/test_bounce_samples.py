"""115 bounces that servers sent, from the tests of flufl.bounce: whom they speak of, why, and what remains when they are mutilated.

Whom: flufl.bounce's own table. Why: read by hand from each sample's text, below. `TEST_MUTATIONS=100000` (`make test-bounces`)
mutilates that many.
"""

import ast
import os
import random
from collections import defaultdict

import pytest

from campaigns.bounces.notice import Notice
from campaigns.bounces.read import MOST_RECIPIENTS, read_notice

MUTATIONS = int(os.environ.get("TEST_MUTATIONS", "5000"))

LABELS = {
    "hard mailbox_unknown": "bounce_02 dsn_10 dsn_11 dsn_12 dsn_13 dsn_14 dsn_15 dsn_16 exim_01 groupwise_01 groupwise_02"
    " llnl_01 microsoft_01 microsoft_02 microsoft_04 postfix_01 qmail_03 qmail_04 qmail_05 simple_05 simple_06 simple_08"
    " simple_11 simple_12 simple_13 simple_15 simple_19 simple_23 simple_25 simple_26 simple_27 simple_29 simple_30"
    " simple_33 simple_34 simple_36 simple_37 simple_39 simple_41 simple_43 smtp32_04 smtp32_06 smtp32_07 yahoo_10 yahoo_11 yahoo_13"
    " yale_01",
    "hard mailbox_disabled": "yahoo_03 yahoo_05 yahoo_06 yahoo_07 yahoo_08 yahoo_09 yahoo_10",
    "hard domain_unknown": "dsn_18 simple_04",
    "soft mailbox_full": "bounce_01 dsn_01 dsn_04 dsn_17 hotpop_01 newmailru_01 postfix_04 qmail_02 qmail_06 qmail_07 simple_01"
    " simple_07 simple_09 simple_14 simple_35 simple_38 yahoo_02 yahoo_04",
    "soft expired": "bounce_03 dsn_02 dumbass_01 netscape_01 smtp32_01 smtp32_02 yahoo_01",
    "soft unreachable": "dsn_05 dsn_07 simple_21 simple_32 simple_40",
    "soft temporary": "dsn_06 dsn_08 postfix_02 postfix_03 simple_03 simple_22 simple_28 simple_44",
    "soft loop": "sendmail_01 simple_18",
    "soft relaying": "dsn_09",
    "soft size": "dsn_03",
    "soft policy": "aol_01",
    "soft spam": "simple_42",
    "soft other": "microsoft_03 postfix_05 qmail_01 simple_02 simple_10 simple_16 simple_17 simple_20 simple_24 simple_31"
    " sina_01 smtp32_03 smtp32_05 yahoo_12",
    "auto_reply": "qmail_08",
    "other": "groupwise_03",
}
"""What each sample says, in our words. `yahoo_10` says two things of three recipients; six name no whole address."""


@pytest.fixture(scope="module")
def flufl(tool_path):
    [folder] = tool_path("peers").parents[1].glob("lib/*/site-packages/flufl/bounce")
    return folder


@pytest.fixture(scope="module")
def samples(flufl):
    return {file.stem: file.read_bytes() for file in sorted((flufl / "tests/data").glob("*.txt"))}


@pytest.fixture(scope="module")
def expected(flufl):
    """The addresses of each sample, in lower case; the table may name a sample once for each of several detectors."""
    [table] = (
        ast.literal_eval(node.value)
        for node in ast.parse((flufl / "testing/helpers.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DATA"
    )
    addresses: dict[str, set[str]] = defaultdict(set)
    for _, file, found, *_ in table:
        addresses[file.removesuffix(".txt")] |= {address.decode().lower() for address in found}
    return addresses


def said_of(notice: Notice) -> set[str]:
    if notice.kind != "bounce":
        return {str(notice.kind)}
    return {f"{each.severity} {each.reason}" for each in notice.recipients or filter(None, [notice.failure])}


@pytest.mark.needs("peers")
def test_every_sample_is_here_with_a_label(samples, expected):
    assert len(samples) == 115
    assert samples.keys() - expected.keys() == {"bounce_01", "dumbass_01"}
    assert sum(map(bool, expected.values())) == 109
    assert {name for names in LABELS.values() for name in names.split()} == samples.keys()


@pytest.mark.needs("peers")
def test_recipients_are_those_of_the_samples_own_table(samples, expected):
    found = {
        name: {each.address.lower() for each in read_notice(raw).recipients} for name, raw in samples.items()
    }
    wrong = {name for name in samples if found[name] != expected[name]}
    named = [name for name in samples if expected[name]]
    assert wrong <= {
        "aol_01",
        "yale_01",
    }  # which name a mailbox without its domain: an address would be a guess
    assert sum(found[name] == expected[name] for name in named) >= 0.98 * len(named)
    assert not [name for name in wrong if found[name]]  # and nobody else is blamed


@pytest.mark.needs("peers")
def test_reasons_and_severities_are_those_read_by_hand(samples):
    labels = defaultdict(set)
    for label, names in LABELS.items():
        for name in names.split():
            labels[name].add(label)
    assert {name: said_of(read_notice(raw)) for name, raw in samples.items()} == labels


def mutilated(raw: bytes, other: bytes, draw: random.Random) -> bytes:
    """Return one to four accidents of `raw`: bytes changed, cut, doubled, exchanged with another sample's, line ends changed."""
    for _ in range(draw.randint(1, 4)):
        start, end = sorted(draw.randrange(len(raw) + 1) for _ in range(2))
        piece = raw[start:end]
        kind = draw.randrange(7)
        if kind == 0:
            noise = bytes(draw.choices(range(256), k=draw.randint(1, 20)))
            raw = raw[:start] + noise + raw[start + len(noise) :]
        elif kind == 1:
            raw = raw[:start] + raw[end:]
        elif kind == 2:
            raw = raw[:start] + piece[:2000] * draw.randint(2, 5) + raw[end:]
        elif kind == 3:
            raw = raw[:start] + other[draw.randrange(len(other)) :] + raw[end:]
        elif kind == 4:
            lines = raw.splitlines(keepends=True)
            draw.shuffle(lines)
            raw = b"".join(lines)
        elif kind == 5:
            raw = raw.replace(
                *draw.choice([(b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n", b""), (b" ", b"\n"), (b"=", b"=\n")])
            )
        else:
            raw = raw[:start] + draw.choice(TROUBLE) + raw[start:]
    return raw


TROUBLE = (
    b"\nContent-Type: multipart/mixed; boundary=\n",
    b'\nContent-Type: multipart/report; boundary="-"\n\n',
    b"\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n",
    b"\nContent-Type: text/plain; charset=utf-16\n",
    b"\nContent-Type: text/html; charset=no-such\n\n<",
    b"\nContent-Transfer-Encoding: base64\n",
    b"\nContent-Transfer-Encoding: quoted-printable\n",
    b"\nSubject: =?utf-8?b?====?= =?x?q?=?= =?utf-16?b?AA?=\n",
    b"\nFinal-Recipient: ;;;@@\nStatus: 9.9.9\nAction:\n",
    b"\nContent-Type: message/feedback-report\n\nOriginal-Rcpt-To: @\n",
)


@pytest.mark.needs("peers")
def test_no_mutilated_sample_stops_the_reader(samples):
    draw, names, kinds = random.Random(7), list(samples), set()
    for number in range(MUTATIONS):
        raw = mutilated(samples[names[number % len(names)]], samples[draw.choice(names)], draw)
        notice = read_notice(raw)
        kinds.add(notice.kind)
        assert len(notice.recipients) <= MOST_RECIPIENTS
        for each in notice.recipients:
            assert len(each.diagnostic) <= 500
            assert each.diagnostic.isprintable()
            assert "@" in each.address
            assert len(each.address) <= 320
            assert each.address.isprintable()
    assert kinds >= {"bounce", "auto_reply", "other"}
