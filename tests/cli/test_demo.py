"""The demo's last step does what the DAGs do, on a real shop."""

import pytest

from campaigns.ledger_view import LedgerView
from campaigns.plan import plan_rows, release_plan
from cli.demo import _read_and_report
from core.ledger_tables import open_ledger
from core.published import Published
from tests.campaigns import small_shop

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS),
]


def test_a_withdrawal_that_lands_before_the_demos_report_stops_mail_that_is_still_planned(
    tmp_path_factory, tmp_path
):
    settings = small_shop.copy_of(small_shop.planned(tmp_path_factory.getbasetemp()), tmp_path)
    release_plan(settings, small_shop.DAY)
    (send_id,) = small_shop.sent_ids(settings, 1)
    customer_id = {row["send_id"]: row["customer_id"] for row in plan_rows(settings, small_shop.DAY)}[send_id]
    (settings.landing / "complete_journey" / "consents" / "of_the_day.csv").write_text(
        "customer_id,purpose,is_given,proof,decided_at,known_at\n"
        f"{customer_id},marketing,false,form,2017-12-04 12:00:00,2017-12-04 12:01:00\n"
    )
    _read_and_report(settings, small_shop.DAY)  # nothing is in the inbox yet, so no service is asked
    assert Published(settings.published).exists("campaign_funnel", small_shop.DAY)
    small_shop.deliver(settings)
    send = LedgerView(open_ledger(settings.ledger)).find(send_id)
    assert send is not None
    assert (str(send.state), send.reply) == ("suppressed", "consent withdrawn before the claim")
