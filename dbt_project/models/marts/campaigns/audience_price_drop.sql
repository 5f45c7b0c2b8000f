-- Customers who wanted something that has become cheaper. The price before is the lowest of the 30 days before the cut,
-- as Directive 98/6/EC, article 6a, asks of who announces one.
{% set rule = "looked at it in the last 90 days and did not buy it; "
    ~ "for at most 3 days it has cost at least 5 % less than ever in the 30 days before" %}

with cuts as (
    select
        prices.product_id,
        prices.price_cents,
        prices.valid_from,
        min(earlier.price_cents) as previous_price_cents
    from {{ ref("price_history") }} as prices
    inner join {{ ref("price_history") }} as earlier
        on
            prices.product_id = earlier.product_id
            and prices.valid_from > earlier.valid_from
            and prices.valid_from - interval 30 day < earlier.valid_until
    where
        prices.valid_from between {{ as_of_date() }} - 3 and {{ as_of_date() }}
        and (prices.valid_until is null or prices.valid_until > {{ as_of_date() }})
    group by prices.product_id, prices.price_cents, prices.valid_from
),

picked as (
    select
        wanted.customer_id,
        wanted.product_id,
        cuts.previous_price_cents,
        cuts.price_cents::double / cuts.previous_price_cents as price_ratio
    from {{ ref("int_products_wanted") }} as wanted
    inner join cuts on wanted.product_id = cuts.product_id
    where
        cuts.price_cents <= 0.95 * cuts.previous_price_cents
        and wanted.last_looked_date <= cuts.valid_from::date
),

lists as (
    select *
    from {{ product_lists(
        "picked",
        product_fact("products", "'price_drop'", more={"previous_price_cents": "picked.previous_price_cents"}),
        "picked.price_ratio", 3
    ) }} as lists
)

{{ shows_lists(rule, {
    "recency_days": "features.recency_days",
    "views_30d_count": "features.views_30d_count",
}) }}
