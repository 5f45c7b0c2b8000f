{{ config(tags = ["features"]) }}

select
    customer_id,
    product_id,
    ordered_date,
    count(distinct order_id) as order_count,
    sum(quantity)::bigint as quantity
from {{ ref("int_purchases_known") }} as purchases
where quantity > 0 and {{ known_at_day("purchases", as_of_date()) }}
group by customer_id, product_id, ordered_date
