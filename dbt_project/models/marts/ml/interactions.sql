{{ config(tags = ["features"]) }}

-- Two groupings instead of one with count(distinct): a third of the time on 1.3 million tiny groups.
with purchases_by_order as (
    select
        customer_id,
        product_id,
        ordered_date,
        order_id,
        sum(quantity)::bigint as quantity
    from {{ ref("int_purchases_known") }} as purchases
    where quantity > 0 and {{ known_at_day("purchases", as_of_date()) }}
    group by customer_id, product_id, ordered_date, order_id
)

select
    customer_id,
    product_id,
    ordered_date,
    count(*) as order_count,
    sum(quantity)::bigint as quantity
from purchases_by_order
group by customer_id, product_id, ordered_date
