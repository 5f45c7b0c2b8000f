"""Commands teach, answer in JSON where asked, and fail in one sentence: 1 is a finding, 2 is wrong use."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import structlog
import typer
from typer.testing import CliRunner

import cli.__main__
from campaigns.definitions import load_campaigns
from campaigns.ledger import SendState
from cli.app import app
from core.ledger_tables import open_ledger
from core.published import Published
from core.settings import PROJECT, Settings, load_settings
from tests.campaigns.returned import bounce, deliver, make_maildir, returns_to, sent_by, suppressed
from tests.faults.ledger_kit import send_id_of

MONDAY = date(2017, 12, 4)
DAY = ("--as-of", str(MONDAY))


def walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group with the words that call it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*words, name))


TREE = dict(walk(typer.main.get_command(app)))
LEAVES = {words for words, command in TREE.items() if not hasattr(command, "commands")}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path) -> Iterator[Path]:
    """A data folder of the test's own; nobody's .env is read, and logging is as it was afterwards."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAPWING_TOKEN_KEY", "k" * 40)
    monkeypatch.setenv("LAPWING_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    yield tmp_path
    structlog.reset_defaults()


@pytest.fixture
def lapwing(capfd, monkeypatch):
    """Call the command line as `python -m cli` does; return exit code, stdout and stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lapwing", *words])
        try:
            cli.__main__.main()
        except SystemExit as end:
            output = capfd.readouterr()
            return int(end.code or 0), output.out, output.err
        raise AssertionError("the command line did not exit")

    return call


# ---- help ----


def test_the_commands_are_those_we_know_of():
    assert {
        ("source", "init"), ("source", "check"), ("source", "example"), ("segments", "train"), ("segments", "show"),
        ("source", "import"), ("source", "load"), ("features", "build"), ("features", "publish"),
        ("features", "check"), ("rejects",), ("churn", "train"), ("churn", "promote"), ("churn", "rollback"), ("churn", "warnings"), ("churn", "watch"), ("churn", "explain"), ("churn", "compare"), ("churn", "drift"),
        ("recommender", "train"), ("recommender", "rollback"), ("recommender", "rules"), ("recommender", "show"), ("score",),
        ("lifetime", "train"), ("lifetime", "rollback"), ("lifetime", "show"),
        ("campaign", "list"), ("campaign", "plan"), ("campaign", "publish"), ("campaign", "preview"), ("campaign", "copy"),
        ("approval", "list"), ("approval", "show"), ("approval", "approve"), ("approval", "reject"),
        ("send", "run"), ("send", "status"), ("send", "show"), ("send", "resolve"), ("send", "withdraw"), ("send", "pause"), ("send", "resume"),
        ("sentiment", "train"), ("sentiment", "collect"), ("sentiment", "ask"), ("replies", "list"), ("replies", "show"), ("replies", "honour"), ("replies", "close"),
        ("bounces", "take"), ("bounces", "list"), ("feedback", "collect"), ("feedback", "simulate"), ("report", "build"), ("report", "show"),
        ("inbox", "serve"), ("tracking", "serve"), ("console", "serve"), ("ledger", "migrate"), ("doctor", "dns"), ("up",), ("demo",),
    } == LEAVES  # fmt: skip


@pytest.mark.parametrize("words", TREE, ids=lambda words: " ".join(words) or "lapwing")
def test_help_says_what_the_command_and_each_of_its_options_does(words):
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    shown = "".join(result.stdout.split()).replace("│", "")
    first = (TREE[words].help or "").partition("\n")[0].partition(".")[0]
    assert len(first) > 10
    assert "".join(first.split()) in shown
    for parameter in TREE[words].params:
        if parameter.name != "help":
            text = getattr(parameter, "help", None)
            assert text, f"{parameter.name} of {words} has no help"
            assert "".join(text.split()) in shown


def test_help_in_whole_tells_the_order_of_a_day():
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    steps = [
        "source import",
        "features build",
        "features publish",
        "campaign plan",
        "campaign publish",
        "send run",
    ]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


# ---- wrong use: 2 ----


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fly"], "No such command"),
        (["source", "fly"], "No such command"),
        (["source", "import", "another-shop"], "Invalid value"),
        (["source", "import"], "Missing argument"),
        (["source", "import", "complete-journey", "--households", "0"], "Invalid value"),
        (["source", "import", "complete-journey", "--households", "many"], "Invalid value"),
        (["features", "build"], "Missing option '--as-of'"),
        (["features", "build", "--as-of", "4 December"], "Invalid value for '--as-of'"),
        (["score", "--as-of", "2017-02-30"], "Invalid value for '--as-of'"),
        (["send", "run", *DAY, "--rehearse"], "No such option"),
        (["send", "resolve", "a" * 32], "Missing option '--delivered'"),
        (["send", "withdraw", "winback", *DAY], "Missing option '--reason'"),
        (["send", "pause", "winback"], "Missing option '--reason'"),
        (["send", "status", *DAY, "--state", "lost"], "Invalid value for '--state'"),
        (["campaign", "preview"], "Missing argument"),
        (["campaign", "copy"], "Missing argument"),
        (["churn", "promote"], "Missing argument"),
        (["churn", "rollback", "latest"], "Invalid value"),
        (["recommender", "rollback", "0"], "Invalid value"),
        ([], "Usage"),
    ],
)  # fmt: skip
def test_wrong_use_says_so_and_exits_with_2(lapwing, environment, words, complaint):
    code, out, err = lapwing(*words)
    assert code == 2
    assert complaint in " ".join((out + err).split())
    assert "Traceback" not in out + err
    assert list(environment.iterdir()) == []  # nothing was begun


def test_a_missing_setting_is_wrong_use_too(lapwing, monkeypatch):
    monkeypatch.delenv("LAPWING_TOKEN_KEY")
    code, out, err = lapwing("source", "load")
    assert (code, out) == (2, "")
    assert err == "lapwing: LAPWING_TOKEN_KEY: Field required (see .env.example)\n"


# ---- findings: 1, in one sentence ----


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["source", "load"], "the landing folder has no rows for the required table 'customers'"),
        (["features", "build", *DAY], "the landing folder has no rows for the required table 'customers'"),
        (["features", "publish", *DAY], "there is no warehouse yet; run `lapwing features build --as-of DATE` first"),
        (["features", "check", *DAY], "customer_features has neither candidate nor snapshot for 2017-12-04"),
        (["campaign", "publish", *DAY], "campaign_plan has neither candidate nor snapshot for 2017-12-04"),
        (["rejects", *DAY], "rejected_rows is not published for 2017-12-04; none is"),
        (["recommender", "show", "1", *DAY], "no recommender is champion yet; `lapwing recommender train` makes one"),
        (["recommender", "rules", *DAY], "products is not published for 2017-12-04; none is"),
        (["report", "show", *DAY], "campaign_funnel is not published for 2017-12-04; none is"),
        (["campaign", "preview", "nope"], "there is no campaign 'nope'; `lapwing campaign list` shows them"),
        (["campaign", "preview", "winback", "--locale", "it"], "there is no locale 'it'; there are ar, de, en, es, fr, ja, zh"),
        (["campaign", "preview", "winback", "--locale", "french"], "locale 'french' is not like 'de' or 'de_AT'"),
        (["churn", "rollback", "1"], "there is no version of 'churn' yet; `lapwing churn train` makes one"),
        (["churn", "rollback"], "no version of 'churn' was champion before this one"),
        (["churn", "compare"], "there are no two versions of 'churn' to compare"),
        (["recommender", "rollback", "1"], "there is no version of 'recommender' yet"),
        (["send", "show", "0" * 32], f"the ledger knows no send '{'0' * 32}'"),
        (["send", "withdraw", "winback", *DAY, "--reason", "wrong price"], "nothing of 'winback' is still planned"),
        (["send", "resolve", "0" * 32, "--delivered"], "is not in the ledger: only one that is uncertain"),
        (["send", "pause", "nope", "--reason", "x"], "there is no campaign 'nope'; `lapwing campaign list` shows them"),
        (["send", "resume", "winback"], "'winback' is not paused; `lapwing send status` lists what is"),
    ],
)  # fmt: skip
def test_a_finding_is_one_sentence_on_stderr_and_exits_with_1(lapwing, words, complaint):
    code, out, err = lapwing(*words)
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("lapwing: ")
    assert complaint in last
    assert "Traceback" not in err
    assert "lapwing: " not in err.removesuffix(last + "\n")  # one sentence, said once


def test_what_nobody_foresaw_crashes_and_is_not_dressed_up(lapwing, environment):
    """A fault of ours keeps its traceback: here, a published snapshot that is no Parquet file."""
    path = Published(environment / "published").path("campaign_funnel", MONDAY)
    path.parent.mkdir(parents=True)
    path.write_text("not a Parquet file")
    with pytest.raises(pa.ArrowInvalid):
        lapwing("report", "show", *DAY)


# ---- answers ----


def test_a_sample_is_imported_loaded_and_imported_only_once(lapwing, environment):
    words = ("source", "import", "complete-journey", "--households", "20", "--json")
    code, out, err = lapwing(*words)
    assert code == 0
    written = json.loads(out)
    assert written["customers/customers.csv"] == 20
    assert {str(path.relative_to(environment / "landing" / "complete_journey")) for path in environment.rglob("*.*")
            if path.is_file()} == set(written)  # fmt: skip
    assert "synthetic" in err
    assert "@" not in err
    code, out, _ = lapwing(*words)
    assert (code, json.loads(out)) == (0, {})
    code, out, _ = lapwing("source", "load", "--json")
    report = json.loads(out)
    assert (code, report["rows"]["customers"], report["first_order_date"][:4]) == (0, 20, "2017")
    code, out, err = lapwing("campaign", "plan", *DAY)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(
        "lapwing: the warehouse has no customers yet; run `lapwing features"
    )


def test_campaigns_are_listed_highest_priority_first(lapwing, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = lapwing("campaign", "list", "--json")
    rows = json.loads(out)
    assert code == 0
    steps = [(found.campaign_id, step.name) for found in load_campaigns().values() for step in found.steps]
    assert [(row["campaign_id"], row["step"]) for row in rows] == steps
    assert ("winback", "incentive") in steps
    priorities = [row["priority"] for row in rows]
    assert priorities == sorted(priorities, reverse=True)
    assert all(len(row["template_version"]) == 12 for row in rows)
    code, out, _ = lapwing("campaign", "list")
    assert code == 0
    assert all(row["campaign_id"] in out and row["template_version"] in out for row in rows)


def test_collecting_feedback_carries_a_withdrawal_that_landed_since(lapwing, environment):
    assert lapwing("source", "import", "complete-journey", "--households", "20")[0] == 0
    assert lapwing("source", "load")[0] == 0
    consents = environment / "landing" / "complete_journey" / "consents"
    decided = len((consents / "consents.csv").read_text().splitlines()) - 1
    said = f"0 events landed\n{decided} consents carried into the ledger\n0 uncertain sends settled\n"
    assert lapwing("feedback", "collect")[:2] == (0, said)
    (consents / "later.csv").write_text(
        "customer_id,purpose,is_given,proof,decided_at,known_at\n"
        "1,marketing,false,form,2018-01-01 10:00:00,2018-01-01 10:00:00\n"
    )
    carried = "0 events landed\n1 consents carried into the ledger\n0 uncertain sends settled\n"
    assert lapwing("feedback", "collect")[:2] == (0, carried)


def test_what_came_back_is_taken_and_listed_word_for_word(lapwing, environment, monkeypatch):
    assert "LAPWING_BOUNCE_MAILBOX is empty" in lapwing("bounces", "take")[2]
    maildir = make_maildir(environment / "bounces")
    monkeypatch.setenv("LAPWING_BOUNCE_MAILBOX", str(maildir))
    monkeypatch.setenv("COLUMNS", "300")
    sent_by(load_settings(), SendState.SENT, SendState.SENT)
    words = "550 [bold]no such user[/nothing] :warning:"
    deliver(maildir, bounce(f"To: {returns_to(0)}", 0, words=words), bounce("To: a@juniper.example", 1))
    code, out, _ = lapwing("bounces", "take", "--json")
    assert (code, json.loads(out)) == (0, {"bounce": 2, "proven": 1, "suppressed": 1})
    assert lapwing("bounces", "take")[:2] == (0, "nothing\n")
    assert suppressed(load_settings()) == {"c0": "bounced"}
    assert words in lapwing("bounces", "list")[1]  # no markup, though it looks like some
    [row] = json.loads(lapwing("bounces", "list", "--proven", "--json")[1])
    assert (row["send_id"], row["campaign_id"], row["reason"]) == (
        send_id_of(0),
        "winback",
        "mailbox_unknown",
    )
    [row] = json.loads(lapwing("bounces", "list", "--unproven", "--json")[1])
    assert (row["send_id"], row["is_proven"]) == (send_id_of(1), False)


@pytest.mark.parametrize(
    ("locale", "unsubscribe"), [("en", "Unsubscribe"), ("de", "Abmelden"), ("zh", "退订")]
)
@pytest.mark.parametrize("campaign", ["price_drop", "picked_for_you", "restock"])
def test_a_preview_shows_a_whole_mail_in_the_readers_language(lapwing, campaign, locale, unsubscribe):
    code, out, _ = lapwing("campaign", "preview", campaign, "--locale", locale)
    assert code == 0
    subject, preheader, blank, *text = out.splitlines()
    assert subject
    assert preheader
    assert blank == ""
    body = "\n".join(text)
    assert unsubscribe in body
    assert "http://127.0.0.1/u" in body
    facts = json.loads((PROJECT / "email_templates" / campaign / "example.json").read_text())
    assert facts["products"][0]["name"] in body
    assert "{{" not in out
    assert "None" not in out


def test_what_a_mail_may_say_is_listed_in_the_readers_language(lapwing):
    code, out, _ = lapwing("campaign", "copy", "winback", "--locale", "de", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {
        "slot": "call_to_action",
        "candidate_id": "go",
        "origin": "authored",
        "text": "Zum Shop",
        "rejected": None,
    } in rows
    assert {row["slot"] for row in rows} == {"subject", "preheader", "headline", "lead", "call_to_action"}


def test_a_preview_shows_the_html_part_when_asked(lapwing):
    code, out, _ = lapwing("campaign", "preview", "winback", "--html")
    assert code == 0
    assert out.lstrip().lower().startswith("<!doctype html")
    assert "</html>" in out


def test_a_champion_is_rolled_back_and_forth_but_never_onto_a_refused_version(lapwing, capfd):
    from ml.registry import Registry
    from tests.ml.test_registry import training

    registry = Registry(load_settings())

    def champion() -> str:
        found = registry.champion("churn")
        assert found is not None
        return found.version

    for key in ("k1", "k2"):
        registry.promote(registry.log(training(key)))
    registry.log(training("k3", is_promoted=False, reason="no better than recency"))
    capfd.readouterr()  # what training says is not the answer of the command
    answer = {"model": "churn", "champion": "version 1"}
    code, out, _ = lapwing("churn", "rollback", "1", "--json")
    assert (code, json.loads(out)) == (0, answer)
    assert champion() == "1"
    assert lapwing("churn", "rollback", "2")[0] == 0
    assert champion() == "2"
    for version, complaint in (
        ("3", "model 'churn' version 3 cannot be champion: no better than recency"),
        ("4", "there is no version 4 of 'churn'; the newest is 3"),
    ):
        code, out, err = lapwing("churn", "rollback", version)
        assert (code, out, err.splitlines()[-1]) == (1, "", f"lapwing: {complaint}")
    assert champion() == "2"
    # The very moment a roll-back is for: somebody moved the alias onto a version that nobody may use.
    registry._client.set_registered_model_alias("churn", "champion", "3")
    assert lapwing("churn", "rollback", "1")[0] == 0
    assert champion() == "1"


def test_drift_beyond_a_bound_is_a_finding_and_exits_with_1(lapwing):
    published = Published(load_settings().published)
    row = {"feature": "recency_days", "measure": "psi", "value": 0.4, "bound": 0.1, "is_alert": True}
    for rows, code in (([row], 1), ([row | {"value": 0.05, "is_alert": False}], 0)):
        published.write_candidate("score_drift", MONDAY, pa.Table.from_pylist(rows))
        published.release("score_drift", MONDAY)
        found, out, _ = lapwing("churn", "drift", *DAY, "--json")
        assert (found, json.loads(out)) == (code, rows)


def test_a_missing_dns_record_is_shown_as_it_should_be_on_one_line_and_exits_with_1(lapwing, monkeypatch):
    zone = {
        ("juniper.example", "TXT"): ["v=spf1 mx -all"],
        ("juniper.example", "MX"): ["mx.juniper.example."],
    }
    monkeypatch.setattr(  # no test may ask the world's name servers
        "campaigns.dns_records.asking", lambda _: lambda name, kind: zone.get((name, kind), [])
    )
    code, shown, _ = lapwing("doctor", "dns")
    assert code == 1
    assert "SPF: TXT juniper.example is right\n" in shown
    missing = "DMARC: TXT _dmarc.juniper.example is missing\n  wanted: v=DMARC1; p=quarantine; rua=mailto:dmarc@juniper.example\n"
    assert missing in shown
    zone["_dmarc.juniper.example", "TXT"] = ["v=DMARC1; p=none"]
    code, shown, _ = lapwing("doctor", "dns", "--json")
    assert code == 0
    assert [record["fault"] for record in json.loads(shown)] == ["", "", ""]


def test_tables_for_people_and_json_for_machines_say_the_same(lapwing):
    rows = [{"campaign_id": "winback", "sent": 3, "share": 0.123456, "note": None}]
    published = Published(load_settings().published)
    published.write_candidate("campaign_funnel", MONDAY, pa.Table.from_pylist(rows))
    published.release("campaign_funnel", MONDAY)
    code, out, _ = lapwing("report", "show", *DAY, "--json")
    assert (code, json.loads(out)) == (0, rows)
    code, out, _ = lapwing("report", "show", *DAY)
    assert [line.split() for line in out.splitlines()] == [
        ["campaign_id", "sent", "share", "note"],
        ["winback", "3", "0.1235", "—"],
    ]


def test_rejects_are_shown_whole_to_machines_and_fifty_of_them_to_people(lapwing):
    rows = [{"source_file": "shop/orders/a.csv", "row_number": number, "value": None} for number in range(60)]
    published = Published(load_settings().published)
    published.write_candidate("rejected_rows", MONDAY, pa.Table.from_pylist(rows))
    published.release("rejected_rows", MONDAY)
    code, out, err = lapwing("rejects", *DAY, "--json")
    assert (code, json.loads(out), err) == (0, rows, "")
    code, out, err = lapwing("rejects", *DAY)
    assert len(out.splitlines()) == 1 + 50
    assert err.startswith("60 rejected rows or values")


def test_nothing_is_an_answer_too(lapwing):
    nothing = "0 events landed\n0 consents carried into the ledger\n0 uncertain sends settled\n"
    assert lapwing("feedback", "collect")[:2] == (0, nothing)
    assert lapwing("send", "status", *DAY)[:2] == (0, "nothing\n")
    code, out, _ = lapwing("send", "status", *DAY, "--json")
    assert (code, json.loads(out)) == (0, [])


def test_a_rehearsal_is_what_happens_unless_one_says_really(lapwing):
    code, out, err = lapwing("send", "run", *DAY, "--json")
    assert (code, json.loads(out)) == (0, {"mails": 0, "bytes": 0})
    assert err.startswith("a rehearsal")


def test_a_pause_is_shown_with_its_reason_until_it_is_resumed(lapwing):
    assert lapwing("send", "pause", "winback", "--reason", "wrong price")[:2] == (0, "winback paused\n")
    assert lapwing("send", "pause", "--reason", "the server is moving")[:2] == (0, "* paused\n")
    code, _, err = lapwing("send", "pause", "winback", "--reason", "again")
    assert (code, "'winback' is paused already" in err) == (1, True)
    code, out, err = lapwing("send", "status", *DAY, "--json")
    assert (code, json.loads(out)) == (0, [])
    assert [line.partition(" UTC: ")[2] for line in err.splitlines()] == [
        "* (the server is moving)",
        "winback (wrong price)",
    ]
    assert lapwing("send", "resume")[:2] == (0, "* resumed\n")
    assert lapwing("send", "resume", "winback")[:2] == (0, "winback resumed\n")
    assert lapwing("send", "status", *DAY)[2] == ""


def test_a_domain_is_paused_by_its_name_and_the_limits_are_told(lapwing, monkeypatch):
    monkeypatch.setenv("LAPWING_DOMAIN_RATES", "gmail.com=0.5")
    monkeypatch.setenv("LAPWING_WARM_UP_FROM", "2100-01-01")  # days before the first are like it
    monkeypatch.setenv("LAPWING_WARM_UP_MAILS", "100")
    assert lapwing("send", "pause", "@Gmail.com", "--reason", "they ask")[:2] == (0, "@gmail.com paused\n")
    paused, *limits = lapwing("send", "status", *DAY)[2].splitlines()
    assert paused.endswith("UTC: @gmail.com (they ask)")
    assert limits == [
        "limited to 0.5 a second: gmail.com",
        "warm-up: 0 of today's 100 mails are used",
    ]
    assert lapwing("send", "resume", "@gmail.com")[:2] == (0, "@gmail.com resumed\n")


def test_the_ledger_is_brought_up_to_date_as_often_as_one_likes(lapwing):
    for _ in range(2):
        assert lapwing("ledger", "migrate")[:2] == (0, "the ledger is at the newest version\n")
    engine = open_ledger(load_settings().ledger)
    try:
        with engine.connect() as connection:
            assert connection.exec_driver_sql("select count(*) from sends").scalar_one() == 0
    finally:
        engine.dispose()


# ---- the program itself ----


def test_the_lapwing_program_works_from_any_folder_and_fails_in_one_sentence(environment):
    elsewhere = environment / "elsewhere"
    elsewhere.mkdir()
    run = [str(PROJECT / "bin" / "lapwing"), "report", "show", *DAY, "--json"]
    variables = os.environ | {"LAPWING_REPLAY": "false"}
    result = subprocess.run(
        run, cwd=elsewhere, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "lapwing: campaign_funnel is not published for 2017-12-04; none is\n"
    assert list(elsewhere.iterdir()) == []
