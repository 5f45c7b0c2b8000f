-- Customers who wanted something of which few are left, by a count of the last two days: no urgency that is not real.
{% set rule = "looked at it in the last 30 days and did not buy it; at most 5 are left, counted in the last 2 days" %}

with picked as (
    select
        wanted.customer_id,
        wanted.product_id,
        wanted.last_looked_date,
        stock.quantity as units_left
    from {{ ref("int_products_wanted") }} as wanted
    inner join {{ ref("stock_history") }} as stock on wanted.product_id = stock.product_id
    where
        stock.valid_until is null
        and stock.quantity between 1 and 5
        and stock.valid_from >= {{ as_of_date() }} - 2
        and wanted.last_looked_date >= {{ as_of_date() }} - 30
),

lists as (
    select *
    from {{ product_lists(
        "picked",
        product_fact("products", "'low_stock'", more={"units_left": "picked.units_left"}),
        "picked.last_looked_date desc", 3
    ) }} as lists
)

{{ shows_lists(rule, {
    "recency_days": "features.recency_days",
    "views_30d_count": "features.views_30d_count",
}) }}
