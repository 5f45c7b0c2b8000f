from datetime import UTC, datetime

import pyarrow as pa
from sqlalchemy import insert

from core.ledger_tables import notices, open_ledger, preferences, replies
from core.published import Published
from tests.console.made_up import DAY, DAY_BEFORE, REFUSED, WHY, send_id


def test_the_report_opens_on_the_newest_day(console):
    assert console.get("/report").url.path == f"/report/{DAY}"


def test_the_funnel_is_shown_from_planned_to_unsubscribed(console):
    words = console.words(f"/report/{DAY}")
    # 310 / 690 = 44.9%, 62 / 690 = 9.0%, 3 / 690 = 0.43%
    assert (
        "Planned 700 Sent 690 Opened simulated 310 45% Clicked simulated 62 9.0% Unsubscribed simulated 3 0.4%"
        in words
    )


def test_candidates_are_shown_to_equal_the_sum_of_verdicts_or_the_gap_is_named(console):
    words = console.words(f"/report/{DAY}")
    assert "✓ 180 candidates = 30 no consent + 5 suppressed + 25 held out + 120 planned" in words
    assert "✓ 700 planned = 690 sent + 7 refused + 2 deferred + 1 uncertain" in words
    assert (
        "✗ 401 candidates but 60 no consent + 100 outranked + 240 planned (together 400: 1 unaccounted for)"
        in words
    )


def test_models_stand_beside_their_baselines(console):
    words = console.words(f"/report/{DAY}")
    assert "roc auc ✓ better than every baseline churn 0.840 days since last order 0.790" in words
    # Brier is an error: 0.11 is worse than 0.10.
    assert "brier lower is better ✗ not better than every baseline churn 0.110 base rate 0.100" in words
    # So is a mean absolute error; and a total is right where it is the truth's, not where it is high.
    assert (
        "mae cents lower is better ✓ better than every baseline churn 16,791.000 same rate 16,876.000"
        in words
    )
    assert (
        "spending rmse cents lower is better ✓ better than every baseline churn 134.800 mean 148.100" in words
    )
    assert (
        "total ratio nearer to 1 is better ✓ better than every baseline churn 1.020 same rate 1.060" in words
    )
    assert "Figures that no baseline has brier gain over recency 0.012" in words
    assert words.index("champion") < words.index("not promoted")
    assert "Its scores reach no customer." in words


def test_what_drifted_is_named_and_what_did_not_is_not(console, settings, serve):
    from tests.console.shop import open_shop

    assert "Drift" not in console.words(f"/report/{DAY}")
    about = {"model_name": "churn", "model_version": "3", "measure": "psi", "bound": 0.1}
    rows = [
        about | {"feature": "recency_days", "value": 0.4567, "is_alert": True},
        about | {"feature": "usual_hour", "value": 0.02, "is_alert": False},
    ]
    open_shop(settings)
    published = Published(settings.published)
    published.write_candidate("score_drift", DAY, pa.Table.from_pylist(rows))
    published.release("score_drift", DAY)
    words = serve(settings).words(f"/report/{DAY}")
    assert "recency days: psi 0.457, bound 0.100 churn version 3" in words
    assert "usual hour" not in words


OF_A_WARNING = dict.fromkeys(["precision", "recall", "f1"]) | {
    "churn_band": "any",
    "ladder_step": "any",
    "open_count": 3,
    "open_value_cents": 90_000,
}


def words_with_figures(settings, serve, rows) -> str:
    from tests.console.shop import open_shop

    open_shop(settings)
    published = Published(settings.published)
    published.write_candidate("churn_warning_figures", DAY, pa.Table.from_pylist(rows))
    published.release("churn_warning_figures", DAY)
    return serve(settings).words(f"/report/{DAY}").replace("\N{EN DASH}", "-")


def test_warnings_say_how_many_of_those_drawn_for_mail_were_mailed_and_what_each_of_them_owes_to_it(
    settings, serve
):
    kept = {"mailed_share": 0.25, "value_kept_cents": 40_000.0, "value_kept_margin_cents": 10_000.0}
    kept |= {"value_kept_mailed_cents": 4_000.0, "value_kept_mailed_margin_cents": 1_000.0}
    rows = [
        OF_A_WARNING | kept | {"treatment": "assigned", "closed_count": 40, "lapsed_share": 0.5},
        OF_A_WARNING
        | dict.fromkeys(kept)
        | {"treatment": "held_out", "closed_count": 7, "lapsed_share": 0.75},
    ]
    words = words_with_figures(settings, serve, rows)
    assert "Any drawn for mail 3 900 40 25% 50% - - - 400 ± 100 40 ± 10" in words
    assert "Any held out, to compare 3 900 7 - 75% - - - - -" in words
    assert "by intention to treat: all whom chance drew for mail, also those whose mail a person" in words


def test_a_day_that_was_reported_before_mailed_customers_were_counted_is_shown_without_them(settings, serve):
    kept = {"value_kept_cents": 40_000.0, "value_kept_margin_cents": 10_000.0}
    rows = [OF_A_WARNING | kept | {"treatment": "planned", "closed_count": 5, "lapsed_share": 0.5}]
    assert "Any a mail 3 900 5 - 50% - - - 400 ± 100 -" in words_with_figures(settings, serve, rows)


def test_each_stage_shows_its_last_time(console):
    words = console.words(f"/report/{DAY}")
    assert "Features 11.4 s" in words
    assert "Together 19.7 s" in words  # 11.4 + 3.2 + 5.1
    assert "9.9 s" not in words


def test_simulated_readers_are_called_so_only_where_a_past_day_is_replayed(console, settings, serve):
    from tests.console.shop import open_shop

    assert "Replayed day, simulated readers" in console.words("/")
    open_shop(settings)
    assert "simulated" not in serve(settings).words(f"/report/{DAY}")


def test_drawings_are_told_to_those_who_do_not_see_them(console):
    page = console.get(f"/report/{DAY}").text
    assert (
        'role="img" aria-label="Winback, candidates by verdict: 120 planned, 25 held out, 5 suppressed, 30 no consent"'
        in page
    )
    assert page.count("<svg") == page.count('role="img"') + page.count(
        'aria-hidden="true" focusable'
    ) + page.count('height="10" aria-hidden')


def test_what_rules_of_trade_removed_is_counted_and_a_rule_that_is_off_says_why(console):
    words = console.words(f"/report/{DAY}")
    assert "Own cycle again 1,234 7 5 In stock off: the shop brings no stock_levels" in words


def test_what_came_back_is_counted_by_campaign_and_what_is_not_proven_apart(console, settings, serve):
    from tests.console.shop import open_shop

    assert "What came back" not in console.words(f"/report/{DAY}")
    open_shop(settings)
    about = [
        (WHY, "bounce", "hard", True),
        (WHY, "bounce", "soft", True),
        (WHY, "bounce", None, True),  # hides whom it speaks of
        (WHY, "bounce", "hard", False),
        (REFUSED, "complaint", "hard", True),
        (REFUSED, "complaint", None, True),
        (REFUSED, "auto_reply", None, True),
        (REFUSED, "auto_reply", None, False),
        (send_id("winback", "1002", DAY_BEFORE), "bounce", "hard", True),
        ("f" * 32, "bounce", "hard", True),
    ]
    moment = datetime(2017, 12, 5, tzinfo=UTC)
    rows = [
        {
            "digest": f"{number}",
            "kind": kind,
            "severity": severity,
            "send_id": send,
            "is_proven": is_proven,
            "diagnostic": "<script>",
            "received_at": moment,
            "taken_at": moment,
        }
        for number, (send, kind, severity, is_proven) in enumerate(about)
    ]
    ledger = open_ledger(settings.ledger)
    with ledger.begin() as connection:
        connection.execute(insert(notices), rows)
    ledger.dispose()
    words = serve(settings).words(f"/report/{DAY}")
    heads = "hard bounces soft bounces complaints auto-replies not proven"
    assert f"{heads} Picked for you 1 2 0 0 1 Restock 0 0 2 1 1 Mails, not customers." in words


def test_replies_are_counted_by_campaign_what_they_want_and_whether_they_wait(console, settings, serve):
    from tests.console.shop import open_shop

    assert "What people answered" not in console.words(f"/report/{DAY}")
    open_shop(settings)
    moment = datetime(2017, 12, 5, tzinfo=UTC)
    about = [
        (WHY, "unsubscribe", True, moment, -0.25),
        (WHY, "complaint", True, None, -0.75),
        (WHY, "complaint", True, moment, -0.35),
        (WHY, "question", False, None, 0.7),
        (REFUSED, "praise", True, moment, None),
        (REFUSED, "other", True, None, None),
        (send_id("winback", "1002", DAY_BEFORE), "question", True, None, 1.0),
        ("f" * 32, "question", True, None, 1.0),
    ]
    rows = [
        {
            "reply_id": f"{number}",
            "intent": intent,
            "language": "en",
            "send_id": send,
            "is_proven": is_proven,
            "text": "<script>",
            "received_at": moment,
            "taken_at": moment,
            "closed_at": closed_at,
            "sentiment": sentiment,
        }
        for number, (send, intent, is_proven, closed_at, sentiment) in enumerate(about)
    ]
    ledger = open_ledger(settings.ledger)
    with ledger.begin() as connection:
        connection.execute(insert(replies), rows)
    ledger.dispose()
    words = serve(settings).words(f"/report/{DAY}")
    heads = "no more mail complaints questions praise other not proven waiting sentiment"
    # the mean of -0.25, -0.75, -0.35 and 0.7
    assert (
        f"{heads} Picked for you 1 2 0 0 0 1 2 -0.16 Restock 0 0 0 1 1 0 1 \u2013 Letters, not customers"
        in words
    )


def test_a_ledger_of_before_notices_and_replies_has_a_report(settings, serve):
    from tests.console.shop import open_shop

    open_shop(settings)
    ledger = open_ledger(settings.ledger)
    for table in (notices, replies, preferences):
        table.drop(ledger)
    ledger.dispose()
    words = serve(settings).words(f"/report/{DAY}")
    assert "From planned to clicked" in words
    assert "What came back" not in words
