-- One row per customer, category and day features are asked for, with the category's place in the customer's spend.
-- Lines of one product that a customer's orders of one UTC day made known are summed before the days multiply them;
-- a moment lies before 00:00 UTC of a day exactly when its date does.
with parts as (
    select
        customer_id,
        product_id,
        known_at::date as known_at,
        known_until::date as known_until,
        sum(net_amount_cents)::bigint as net_amount_cents
    from {{ ref("int_purchases_known") }}
    group by customer_id, product_id, known_at::date, known_until::date
),

categorised as (
    select
        parts.customer_id,
        coalesce(products.category, 'unknown') as category,
        greatest(parts.known_at, products.known_at::date) as known_at,
        least(parts.known_until, products.known_until::date) as known_until,
        sum(parts.net_amount_cents)::bigint as net_amount_cents,
        coalesce(sum(parts.net_amount_cents) filter (products.brand = 'Private'), 0)::bigint as own_brand_cents
    from parts
    inner join {{ ref("stg_shop__products") }} as products
        on
            parts.product_id = products.product_id
            -- Versions of a line and of its product belong together where their times overlap.
            and parts.known_at <= coalesce(products.known_until::date, date '9999-12-31')
            and products.known_at::date <= coalesce(parts.known_until, date '9999-12-31')
    group by all
),

spend as (
    select
        dates.as_of_date,
        categorised.customer_id,
        categorised.category,
        sum(categorised.net_amount_cents)::bigint as net_amount_cents,
        sum(categorised.own_brand_cents)::bigint as own_brand_cents
    from categorised
    inner join {{ feature_dates() }} as dates
        on {{ known_at_day("categorised", "dates.as_of_date") }}
    group by dates.as_of_date, categorised.customer_id, categorised.category
)

select
    *,
    row_number() over (
        partition by as_of_date, customer_id order by net_amount_cents desc, category
    ) as category_rank,
    sum(net_amount_cents) over (partition by as_of_date, customer_id)::bigint as customer_cents
from spend
