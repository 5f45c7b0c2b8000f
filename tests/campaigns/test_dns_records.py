"""The records that mail needs: right where they are, and each fault told in words."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from campaigns.dns_records import asking, dns_records
from core.errors import ServiceFailed
from tests.campaigns.signing import RFC_KEY, RFC_RECORD, pem

DKIM = "brisbane._domainkey.juniper.example"
ZONE = {
    ("bounces.juniper.example", "TXT"): ["site-verification=1", "v=spf1 a:smtp.example -all"],
    (DKIM, "TXT"): [RFC_RECORD],
    ("_dmarc.juniper.example", "TXT"): ["v=DMARC1; p=reject"],
    ("bounces.juniper.example", "MX"): ["mx.juniper.example."],
}


@pytest.fixture
def signing(settings, tmp_path):
    (tmp_path / "brisbane.pem").write_bytes(pem(RFC_KEY))
    more = {
        "dkim_keys": str(tmp_path / "brisbane.pem"),
        "bounce_domain": "bounces.juniper.example",
        "smtp_host": "smtp.example",
    }
    return settings.model_copy(update=more)


def checked(settings, zone):
    return dns_records(settings, lambda name, kind: zone.get((name, kind), []))


def test_records_as_they_should_be_have_no_fault(signing):
    records = checked(signing, ZONE)
    assert [(record.what, record.name, record.fault) for record in records] == [
        ("SPF", "bounces.juniper.example", ""),
        ("DKIM", DKIM, ""),
        ("DMARC", "_dmarc.juniper.example", ""),
        ("MX", "bounces.juniper.example", ""),
    ]
    assert [record.wanted for record in records[:2]] == ["v=spf1 a:smtp.example -all", RFC_RECORD]


def test_what_is_shown_as_wanted_has_no_fault_once_it_is_published(signing):
    wanted = {(record.name, record.type): [record.wanted] for record in checked(signing, {})}
    assert [record.fault for record in checked(signing, wanted)] == [""] * 4


@pytest.mark.parametrize(
    ("place", "content", "fault"),
    [
        (0, [], "is missing"),
        (0, ["v=spf10 -all"], "is missing"),
        (0, ["v=spf1 a:smtp.example +all"], "lets anybody send"),
        (0, ["v=spf1 a:smtp.example"], "lets anybody send"),
        (0, ["v=spf1 -all", "v=spf1 mx -all"], "is there 2 times"),
        (1, [], "is missing"),
        (1, [RFC_RECORD.replace("11qY", "11qX")], "another key than the one that signs"),
        (1, [RFC_RECORD.replace("k=ed25519; ", "")], "another key than the one that signs"),  # RSA, then
        (1, [RFC_RECORD + "; t=s:y"], "only a test"),
        (2, [], "is missing"),
        (2, ["v=DMARC1; rua=mailto:dmarc@juniper.example"], "has no policy"),
        (2, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "is there 2 times"),
        (3, [], "bounces and answers reach nobody"),
        (3, ["."], "takes no mail"),
    ],
)
def test_a_record_that_is_missing_or_wrong_is_told_in_words(signing, place, content, fault):
    records = checked(signing, ZONE | {list(ZONE)[place]: content})
    assert [bool(record.fault) for record in records] == [at == place for at in range(4)]
    assert fault in records[place].fault


@pytest.mark.parametrize(
    "content", ["v=spf1 include:p.example ~all", "v=spf1 redirect=p.example", "V=SPF1 -ALL"]
)
def test_an_spf_record_may_be_soft_or_refer_to_another(signing, content):
    assert checked(signing, ZONE | {("bounces.juniper.example", "TXT"): [content]})[0].fault == ""


def test_the_policy_of_a_domain_above_counts_and_a_record_may_be_in_pieces(signing):
    below = signing.model_copy(update={"from_address": "Shop <hello@mail.juniper.example>"})
    zone = ZONE | {
        ("brisbane._domainkey.mail.juniper.example", "TXT"): [RFC_RECORD.replace("p=11", "p= 11 ")]
    }
    assert [record.fault for record in checked(below, zone)] == [""] * 4


@pytest.fixture
def name_server():
    """A DNS server on this machine that knows one long text and one mail server, and is dumb about `silent.example`."""
    answers = {
        ("long.example.", "TXT"): '"v=DKIM1; k=rsa; " "p=AB"',
        ("long.example.", "MX"): "10 mx.long.example.",
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve():
            while (asked := server.recvfrom(4096))[0] != b"end":
                question = dns.message.from_wire(asked[0])
                name, kind = question.question[0].name.to_text(), question.question[0].rdtype.name
                response = dns.message.make_response(question)
                if name == "silent.example.":
                    response.set_rcode(dns.rcode.SERVFAIL)
                elif (name, kind) in answers:
                    response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, answers[name, kind]))
                elif name != "long.example.":
                    response.set_rcode(dns.rcode.NXDOMAIN)
                server.sendto(response.to_wire(), asked[1])

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
        yield resolver
        server.sendto(b"end", server.getsockname())
        thread.join()


def test_a_name_server_is_asked_and_what_it_does_not_have_is_nothing(name_server):
    look_up = asking(name_server)
    assert look_up("long.example", "TXT") == ["v=DKIM1; k=rsa; p=AB"]
    assert look_up("long.example", "MX") == ["mx.long.example."]
    assert look_up("nobody.example", "TXT") == look_up("nobody.example", "MX") == []


def test_a_name_server_that_cannot_say_is_no_missing_record(name_server):
    with pytest.raises(ServiceFailed, match=r"the DNS does not answer what TXT silent\.example is"):
        asking(name_server)("silent.example", "TXT")
