"""Settles uncertain sends by what readers did: nobody opens or clicks a mail that did not arrive."""

from collections.abc import Callable

from campaigns.ledger_notices import open_notices
from campaigns.sends import SendState
from core.settings import Settings
from core.warehouse import reading


def settle_answered(settings: Settings, load: Callable[[Settings], object]) -> int:
    """Settle as sent every uncertain send that was opened, clicked or answered by an unsubscribe; return how many.

    What landed is loaded with `load` first, but only if any send is uncertain. All events count, not the newest alone:
    a mail program may load the pixel before the sender that died is found dead.
    """
    ledger = open_notices(settings)
    try:
        uncertain = [send.send_id for send in ledger.in_state(SendState.UNCERTAIN)]
        if not uncertain or not settings.warehouse.exists():
            return 0
        load(settings)
        with reading(settings) as connection:
            answered = connection.execute(
                "select distinct send_id from landing.mail_events"
                " where kind <> 'sent' and send_id in (select unnest($1::varchar[])) order by send_id",
                [uncertain],
            ).fetchall()
        return ledger.settle_as_sent([send_id for (send_id,) in answered], "what its reader did")
    finally:
        ledger.close()
