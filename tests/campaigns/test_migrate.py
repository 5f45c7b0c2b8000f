"""The shape of the ledger: made from nothing, grown from every older one, and left alone where it is not ours."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, select, text

from campaigns.ledger import SendState
from campaigns.migrate import HEAD, migrate
from core.errors import LedgerBroken
from core.ledger_tables import (
    metadata,
    open_ledger,
    sends,
)
from tests.faults.ledger_kit import DAY, NOON, decision, ledger_at, planned, states


def test_migrating_builds_what_the_tables_say_and_again_changes_nothing(ledger_url):
    migrate(ledger_url)
    migrate(ledger_url)
    engine = open_ledger(ledger_url)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
        assert connection.execute(text("select version_num from alembic_version")).scalar() == HEAD
    engine.dispose()


def make_old_ledger(ledger_url, revision, *rows):
    """Make a ledger as it was at a revision, with sends c0, c1, … that differ as told."""
    engine = open_ledger(ledger_url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "campaigns:migrations")
        command.upgrade(config, revision)
        for number, more in enumerate(rows):
            moment = str(NOON.replace(tzinfo=None))
            row = asdict(planned(number)) | {"as_of_date": str(DAY), "send_at": moment, "attempts": 0} | more
            del row["expires_at"], row["channel"]  # came later
            names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(text(f"insert into sends ({names}) values ({values})"), row)
    tables = inspect(engine).get_table_names()
    engine.dispose()
    return tables


def test_a_ledger_of_the_first_revision_gains_consents_and_keeps_its_sends(ledger_url):
    assert "consents" not in make_old_ledger(ledger_url, "0001", {"state": "planned"})
    ledger = ledger_at(ledger_url)
    ledger.record_decisions([decision(0, True)])
    assert ledger.decision_count() == 1
    assert ledger.states(DAY) == {SendState.PLANNED: 1}


def test_a_ledger_that_knew_no_leases_keeps_its_sends_and_what_was_on_the_way_is_cleared_up(
    ledger_url, tmp_path
):
    before = ["planned", "claimed", "sending", "sent", "deferred", "uncertain"]
    rows = [{"state": state, "claim_id": None if state == "planned" else "f" * 32} for state in before]
    assert "leases" not in make_old_ledger(ledger_url, "0003", *rows)
    ledger = ledger_at(ledger_url)
    with ledger.sender(tmp_path / "lock"):
        assert ledger.recover() == {SendState.PLANNED: 1, SendState.UNCERTAIN: 1}
        found = states(ledger)
        assert [found[f"c{number}"] for number in range(len(before))] == [
            "planned", "planned", "uncertain", "sent", "expired", "uncertain",
        ]  # fmt: skip
        assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c0", "c1"]
    assert {send.due_at for send in ledger.of_day(DAY)} == {NOON}


def test_a_ledger_that_knew_no_limits_learns_whose_mail_goes_where_and_when_it_expires(ledger_url):
    moment, address = NOON.strftime("%Y-%m-%d %H:%M:%S"), "Reader@Example.COM"
    make_old_ledger(
        ledger_url, "0004", {"state": "planned", "address": address, "due_at": moment, "send_at": moment}
    )
    engine = open_ledger(ledger_url)
    with engine.begin() as connection:
        paused = {"campaign_id": "winback", "reason": "wrong price", "paused_at": moment}
        connection.execute(text("insert into pauses values (:campaign_id, :reason, :paused_at)"), paused)
    engine.dispose()
    ledger = ledger_at(ledger_url)
    with ledger._engine.begin() as connection:
        assert connection.scalars(select(sends.c.domain)).all() == ["example.com"]
    assert [row.expires_at for row in ledger.of_day(DAY)] == [datetime(2026, 3, 4, tzinfo=UTC)]
    assert [(pause.subject, pause.ends_at) for pause in ledger.pauses(NOON)] == [("winback", None)]
    assert ledger.due_count() == 0
    ledger.resume("winback", actor="ada")
    assert ledger.due_count() == 1


def test_a_ledger_that_knew_no_channels_takes_all_it_has_for_mail(ledger_url):
    make_old_ledger(
        ledger_url, "0008", {"state": "sent", "due_at": "2026-03-02 12:00:00", "domain": "example.com"}
    )
    assert [(send.channel, send.state) for send in ledger_at(ledger_url).of_day(DAY)] == [("mail", "sent")]


def test_the_head_that_migrate_looks_for_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "campaigns:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_migration_that_dies_half_way_leaves_nothing_and_can_be_run_again(ledger_url, monkeypatch):
    def die(connection, cursor, statement, parameters, context, executemany):
        if "CREATE TABLE audit_log" in statement:
            raise KeyboardInterrupt

    def open_and_die(address):
        engine = open_ledger(address)
        event.listen(engine, "before_cursor_execute", die)
        return engine

    with monkeypatch.context() as patch:
        patch.setattr("campaigns.migrate.open_ledger", open_and_die)
        with pytest.raises(KeyboardInterrupt):
            migrate(ledger_url)
    engine = open_ledger(ledger_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    migrate(ledger_url)
    assert ledger_at(ledger_url).states(DAY) == {}


def test_a_ledger_made_by_a_newer_lapwing_is_left_alone(ledger_url):
    migrate(ledger_url)
    engine = open_ledger(ledger_url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerBroken, match="revision 9999, which this Lapwing does not know"):
        migrate(ledger_url)


def test_a_file_that_is_no_ledger_is_named_in_one_sentence(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database " * 100)
    with pytest.raises(LedgerBroken, match=r"ledger\.sqlite cannot be used: .*not a database"):
        migrate(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
