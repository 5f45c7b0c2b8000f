"""The short cut of `make bench-send` and `make bench-send-memory`: what depends least on how busy the machine is."""

import pytest

from benchmarks.send import SqliteLedgers, made_sends, sent_by, smtp_sink

MAILS = 4_000
SIGNED_MAILS = 500


@pytest.mark.needs("smtp-sink")
def test_a_mail_costs_a_sender_little_processor_time_and_no_memory(tmp_path):
    """A tenth of a millisecond on a quiet machine, twice that on a busy one; it was half a one with a statement a mail."""
    with smtp_sink() as port:
        _, (report,) = sent_by(1, SqliteLedgers(tmp_path, MAILS).new(), port, 50)
    assert report["sent"] == MAILS
    assert report["cpu_seconds"] / MAILS < 0.0003
    early, *later = report["memory_mb"][20:]
    assert len(later) == 79
    assert max(later) < 1.05 * early


@pytest.mark.needs("smtp-sink")
def test_whoever_sends_signed_mails_spends_little_beside_those_who_make_them(tmp_path):
    """A tenth of a millisecond too: making a mail takes four times as long, and is done elsewhere."""
    plan = tmp_path / "plan"
    ledgers = SqliteLedgers(tmp_path, SIGNED_MAILS, made_sends(plan, SIGNED_MAILS))
    with smtp_sink() as port:
        _, (report,) = sent_by(1, ledgers.new(), port, 50, f"--plan={plan}")
    assert report["sent"] == SIGNED_MAILS
    assert report["cpu_seconds"] / SIGNED_MAILS < 0.0004
