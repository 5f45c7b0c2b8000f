-- Customers who wanted something while it was sold out, or before, and can have it again.
{% set rule = "looked at it in the last 90 days and did not buy it; "
    ~ "it was sold out and is there again since at most 3 days" %}

with counts as (
    select
        product_id,
        quantity,
        valid_from,
        valid_until,
        lag(quantity) over (partition by product_id order by valid_from) as quantity_before
    from {{ ref("stock_history") }}
),

-- A row that begins a time without stock says since when; it stands for the counts of 0 after it.
runs as (
    select
        *,
        max(case when quantity = 0 and coalesce(quantity_before, 1) > 0 then valid_from end) over (
            partition by product_id order by valid_from
        ) as out_since
    from counts
),

picked as (
    select
        wanted.customer_id,
        wanted.product_id,
        wanted.last_looked_date,
        runs.out_since::date as out_since_date
    from {{ ref("int_products_wanted") }} as wanted
    inner join runs on wanted.product_id = runs.product_id
    where
        runs.quantity > 0
        and runs.quantity_before = 0
        and runs.valid_from >= {{ as_of_date() }} - 3
        and runs.valid_until is null
        -- Who looked later has seen that it is there.
        and wanted.last_looked_date <= runs.valid_from::date
),

lists as (
    select *
    from {{ product_lists(
        "picked",
        product_fact("products", "'back_in_stock'", more={"out_since_date": "picked.out_since_date::varchar"}),
        "picked.last_looked_date desc", 3
    ) }} as lists
)

{{ shows_lists(rule, {
    "recency_days": "features.recency_days",
    "views_30d_count": "features.views_30d_count",
}) }}
