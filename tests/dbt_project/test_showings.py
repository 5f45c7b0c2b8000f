"""What mails of a small real shop's day showed, as its warehouse tells a week later."""

import json
from datetime import timedelta

import duckdb
import pytest
from sqlalchemy import select

from campaigns.outcomes import ledger_view
from campaigns.plan import plan_rows
from campaigns.sends import SendState
from core.dbt import build
from core.ledger_tables import links, open_ledger
from sources.landing import load_landing
from sources.tracking import collect
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY

pytestmark = pytest.mark.timeout(600)
WEEK_LATER = DAY + timedelta(days=8)


def showings(settings):
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        rows = connection.sql(
            "select send_id, place::bigint, product_id, is_clicked from ml.product_showings"
        )
        return {
            (send_id, place): (product_id, clicked) for send_id, place, product_id, clicked in rows.fetchall()
        }


def land_click(settings, send_id, link_id):
    line = {"event_id": "c1", "kind": "click", "send_id": send_id, "link_id": link_id, "is_machine": False}
    moment = f"{DAY} 23:30:00"
    file = settings.landing / "tracking" / "mail_events" / "a_click.jsonl"
    file.write_text(json.dumps(line | {"happened_at": moment, "known_at": moment}) + "\n")


def test_every_product_of_every_mail_stands_there_a_week_later_and_the_one_clicked_is_clicked(
    tmp_path_factory, tmp_path
):
    settings = small_shop.copy_of(small_shop.sent(tmp_path_factory.getbasetemp()), tmp_path)
    with ledger_view(settings) as ledger:
        sent = {send.send_id for send in ledger.of_day(DAY) if send.state == SendState.SENT}
    shown = {
        (row["send_id"], place): product
        for row in plan_rows(settings, DAY)
        if row["send_id"] in sent
        for place, product in enumerate(row["facts"]["products"], 1)
    }
    assert len(sent) > 10
    assert len(shown) > len(sent)
    clicked = next(key for key in shown if key[1] == 2)
    with open_ledger(settings.ledger).connect() as connection:
        told = select(links.c.link_id).where(links.c.target == shown[clicked]["url"])
        land_click(settings, clicked[0], connection.execute(told).scalar_one())
    with ledger_view(settings) as ledger:
        collect(settings, ledger)
    load_landing(settings)
    build(settings, "+product_showings", as_of=DAY + timedelta(days=7))
    assert not showings(settings)  # they left during the day: a week has not passed for them
    build(settings, "+product_showings", as_of=WEEK_LATER)
    expected = {key: (product["product_id"], key == clicked) for key, product in shown.items()}
    assert showings(settings) == expected
