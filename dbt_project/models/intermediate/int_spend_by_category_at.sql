-- One row per customer, category and day features are asked for, with the category's place in the customer's spend.
with spend as (
    select
        dates.as_of_date,
        purchases.customer_id,
        coalesce(products.category, 'unknown') as category,
        sum(purchases.net_amount_cents)::bigint as net_amount_cents,
        coalesce(sum(purchases.net_amount_cents) filter (products.brand = 'Private'), 0)::bigint as own_brand_cents
    from {{ ref("int_purchases_known") }} as purchases
    inner join {{ feature_dates() }} as dates
        on {{ known_at_day("purchases", "dates.as_of_date") }}
    inner join {{ ref("stg_shop__products") }} as products
        on purchases.product_id = products.product_id and {{ known_at_day("products", "dates.as_of_date") }}
    group by dates.as_of_date, purchases.customer_id, coalesce(products.category, 'unknown')
)

select
    *,
    row_number() over (
        partition by as_of_date, customer_id order by net_amount_cents desc, category
    ) as category_rank,
    sum(net_amount_cents) over (partition by as_of_date, customer_id)::bigint as customer_cents
from spend
