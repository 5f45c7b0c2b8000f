"""The DAG takes what came back, beside everything else it collects."""

from campaigns.ledger import SendState
from simulation.shop import simulate_shop
from tests.campaigns.returned import bounce, deliver, make_maildir, returns_to, sent_by, suppressed
from tests.dags.test_consents_reach_the_ledger import call
from tests.faults.ledger_kit import DAY


def test_a_complaint_waits_for_no_other_task_and_is_taken_once(settings, tmp_path, monkeypatch):
    maildir = make_maildir(tmp_path / "bounces")
    monkeypatch.setenv("LAPWING_BOUNCE_MAILBOX", str(maildir))
    sent_by(settings, SendState.SENT)
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0))
    _, waits_for, answers = call(settings, "collect_feedback", "take_notices", *2 * [str(DAY)])
    assert waits_for == []
    assert answers == [{"bounce": 1, "proven": 1, "suppressed": 1}, {}]
    assert suppressed(settings) == {"c0": "bounced"}


def test_texts_are_asked_about_when_replies_were_taken_and_wait_where_there_is_no_model(settings):
    simulate_shop(settings.landing / "simulated", customers=10, days=30)
    _, waits_for, answers = call(settings, "collect_feedback", "ask_sentiment", str(DAY))
    assert waits_for == ["take_notices"]
    assert answers == [0]
