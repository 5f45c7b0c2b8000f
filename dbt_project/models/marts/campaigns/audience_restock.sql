-- Customers for whom at least two things they buy regularly are due, by their own rhythm.
{% set rule = "at least two products bought four times or more are due by the customer's own rhythm" %}

with due as (
    select rhythms.*
    from {{ ref("int_product_rhythms") }} as rhythms
    inner join {{ ref("products") }} as products on rhythms.product_id = products.product_id
    where
        products.sold_90d_count > 0
        and rhythms.times_bought >= 4
        and rhythms.usual_gap_days between 7 and 90
        -- Due, and not so long overdue that the habit has ended.
        and rhythms.days_since between 0.9 * rhythms.usual_gap_days and 1.6 * rhythms.usual_gap_days
),

lists as (
    select *
    from {{ product_lists(
        "due",
        product_fact("products", "'due'", times_bought="picked.times_bought",
                     usual_gap_days="round(picked.usual_gap_days, 1)", days_since="picked.days_since"),
        "picked.times_bought desc", 4
    ) }} as lists
)

{{ shows_lists(rule, {
    "recency_days": "features.recency_days",
    "gap_mean_days": "round(features.gap_mean_days, 1)",
    "orders_90d_count": "features.orders_90d_count",
    "usual_weekday": "features.usual_weekday",
    "usual_hour": "features.usual_hour",
}) }}
-- Somebody who ordered in the last two days has just had the chance to restock.
where len(lists.facts) >= 2 and features.recency_days > 2
