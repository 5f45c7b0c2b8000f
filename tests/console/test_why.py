import pytest

from console.words import next_order
from tests.console.made_up import HELD_OUT, NASTY, REFUSED, TARGET, WHY
from tests.console.tables import VALUE


def test_why_this_customer_is_answered_with_rule_arm_and_features_in_words(console):
    words = console.words(f"/mail/{WHY}")
    assert "Ordered in the last 90 days, and there are at least 3 products never bought before." in words
    assert "Arm treatment, which 90% of this" in words
    # Ten customers with 0, 10, 20, 30, 40, 50, 60, 70, 80 and 90 days: six have more than 30.
    assert "Since the last order 30 days less than 60% of customers" in words
    assert "Usual hour of ordering 18:00 Favourite category Produce" in words
    assert "place among the 10 customers of the day" in words


def test_a_winback_mail_says_why_the_model_warns_and_other_mails_do_not(console):
    words = console.words(f"/mail/{HELD_OUT}")
    assert "Why the model warns Orders about every 12 days, now quiet for 31. Spent <script>" in words
    assert NASTY not in console.get(f"/mail/{HELD_OUT}").text
    assert "Why the model warns" not in console.words(f"/mail/{WHY}")


def test_a_score_names_its_model_and_leads_to_its_run(console):
    page = console.get(f"/mail/{WHY}").text
    assert "Chance of no order in the next 28 days" in page
    assert 'href="http://127.0.0.1:5000/#/runs/0123456789abcdef0123456789abcdef"' in page
    assert "churn v3" in page
    assert "Expected profit of writing by churn v3 $2.34" in console.words(f"/mail/{WHY}")


def test_what_is_expected_of_the_customer_is_said_with_bounds_and_the_model(console):
    words = console.words(f"/mail/{WHY}")
    assert (
        "Expected to spend in the next 84 days by lifetime v5 ↗ $412.34, eight times in ten between $200.00 and $700.00"
        in words
    )
    assert (
        "Next order, if there is one (97% likely a customer still) by lifetime v5 ↗ "
        "around 9 December 2017, eight times in ten from 5 December 2017 to 3 January 2018" in words
    )


def test_a_customer_without_a_value_has_a_page_that_expects_nothing(console):
    assert "What is expected of this customer" not in console.words(f"/mail/{HELD_OUT}")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (["high_"], "around 9 December 2017, eight times in ten from 5 December 2017 on"),
        (["", "high_"], "not to be expected"),
    ],
)
def test_a_bound_or_a_day_that_is_missing_is_said_in_words(missing, said):
    assert next_order(VALUE | {f"next_order_{part}date": None for part in missing}) == said


def test_why_these_products_is_answered_for_each_product(console):
    words = console.words(f"/mail/{WHY}")
    assert (
        "Bananas $0.99 Produce · National · 40 LB Because of an earlier purchase: White Milk, 1 gallon, "
        "last bought 14 May 2017." in words
    )
    assert "Rank 1 of this customer's list, score 0.83 by item item, recommend v2" in words
    assert "Bought 7 times, about every 14 days; the last time was 20 days ago." in words
    assert "A favourite: bought 1 time." in words


def test_both_lists_of_the_day_are_told_with_the_kind_the_day_and_the_gap_of_each_reason(console):
    words = console.words(f"/mail/{WHY}")
    told = (
        "Never bought before",
        "1029743 Because of an earlier purchase: White Milk, 1 gallon, last bought 14 May 2017. by item item",
        "61 Bought by 12 of the 199 customers whose purchases are most like this one's.",
        "62 Fits all of the customer's purchases together; none explains it by itself.",
        "65 New in the shop, and like an earlier purchase: White Milk, 1 gallon, last bought 14 May 2017.",
        "66 Because the customer looked at White Milk, 1 gallon.",
        "67 Popular among customers of the same segment, and new to this customer.",
        "Bought before",
        "White Milk, 1 gallon Due again: usually bought every 42 days; the last time was 14 May 2017.",
        "63 Usually bought every 10.5 days, not due yet; the last time was 1 December 2017.",
        "64 Bought before; the last time was 30 November 2017.",
    )
    places = [words.index(part, words.index("All that was recommended")) for part in told]
    assert places == sorted(places)
    assert "All that was recommended" not in console.words(f"/mail/{HELD_OUT}")


def test_why_now_names_the_customers_own_time_and_the_campaigns_that_yielded(console):
    words = console.words(f"/mail/{WHY}")
    # 22:30 UTC is 17:30 in New York in winter (UTC-5).
    assert (
        "Due 4 Dec 2017, 22:30 UTC, 17:30 on 4 December in America/New York where the customer lives."
        in words
    )
    assert "Restock Outranked Another campaign mattered more that day" in words


def test_the_history_is_in_order_and_tells_machines_simulated_readers_and_suppressions_apart(console):
    words = console.words(f"/mail/{WHY}")
    told = (
        "Due",
        "Claimed",
        "Handing over",
        "Sent The mail server accepted it. It said: 250 ok",
        "Opened By a machine (scanner or proxy).",
        f"Clicked By a simulated reader, towards {TARGET}.",
        "Suppressed: unsubscribed No mail since then. This mail was the reason.",
    )
    places = [words.index(part, words.index("What happened")) for part in told]
    assert places == sorted(places)


def test_a_mail_whose_bytes_are_not_those_handed_over_is_called_so(console, settings, serve):
    from tests.console.shop import open_shop

    assert "✓ the very bytes that were handed over" in console.words(f"/mail/{WHY}")
    open_shop(settings)
    for file in (settings.inbox / "new").iterdir():
        file.write_bytes(file.read_bytes().replace(b"Bananas", b"Apples!"))
    assert "✗ not the bytes the ledger says were handed over" in serve(settings).words(f"/mail/{WHY}")


def test_a_held_out_customer_gets_an_answer_too(console):
    words = console.words(f"/mail/{HELD_OUT}")
    assert "Held out Drawn by lot to get nothing" in words
    assert "No mail of this send is in the local inbox." in words
    assert "it never reached the ledger" in words


def test_a_refused_send_repeats_the_servers_words_without_the_address(console):
    assert "It said: 550 no such user [address]" in console.words(f"/mail/{REFUSED}")
