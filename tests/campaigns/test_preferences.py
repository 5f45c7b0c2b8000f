"""From the link in a mail to the mails that come after it."""

import httpx

from campaigns.ledger import SendState
from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.plan import plan_rows, release_plan
from core.ledger_tables import open_ledger
from core.preferences import MailKind
from core.tokens import TokenKind
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY
from tests.tracking.kit import serving, tokens_of
from tracking.app import create_app

FORM = {"save": "preferences", "pace": "usual", "locale": "", **{str(kind): "on" for kind in MailKind}}


def test_a_choice_between_plan_and_send_stops_the_mails_it_is_about_and_no_other(planned, own):
    settings = own(planned)
    release_plan(settings, DAY)
    cast = small_shop.cast_of(settings)
    winback = [row for row in plan_rows(settings, DAY) if row["campaign_id"] == "winback"]
    free = [
        row["send_id"]
        for row in winback
        if row["customer_id"] not in (cast.stopped_at_midnight, cast.mailed_twice)
    ]
    no_offers, no_alerts, pause = free[:3]
    rarely = next(row["send_id"] for row in winback if row["customer_id"] == cast.mailed_twice)
    wishes = {
        no_offers: {name: value for name, value in FORM.items() if name != MailKind.OFFERS},
        no_alerts: {name: value for name, value in FORM.items() if name != MailKind.ALERTS},
        pause: FORM | {"pause": "on"},
        rarely: FORM | {"pace": "rarely"},
    }
    with serving(create_app(settings)) as url:
        for send_id, form in wishes.items():
            link = f"{url}/p/{tokens_of(settings).sign(TokenKind.UNSUBSCRIBE, send_id)}"
            assert httpx.post(link, data=form, trust_env=False).status_code == 200
    small_shop.deliver(settings)
    ledger = LedgerView(open_ledger(settings.ledger))
    inbox = LocalInbox(settings.inbox).by_send()
    for send_id, reply in (
        (no_offers, "kind switched off before the claim"),
        (pause, "paused by the reader before the claim"),
        (rarely, "paused by the reader before the claim"),  # she had a mail yesterday
    ):
        send = ledger.find(send_id)
        assert send is not None
        assert (send.state, send.reply, send_id in inbox) == (SendState.SUPPRESSED, reply, False)
    assert no_alerts in inbox
    assert ledger.states(DAY)[SendState.SENT] == len(inbox) > len(winback) - 5
    ledger.close()
