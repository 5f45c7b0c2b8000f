-- One row per order and version, from the moment both the order and its customer were known.
with customers as (
    select
        customer_id,
        min(known_at) as first_known_at
    from {{ ref("stg_shop__customers") }}
    group by customer_id
)

select
    orders.order_id,
    orders.customer_id,
    orders.store_id,
    orders.ordered_at,
    orders.ordered_at::date as ordered_date,
    (orders.ordered_at at time zone 'UTC') at time zone '{{ var("shop_time_zone") }}' as ordered_at_local,
    greatest(orders.known_at, customers.first_known_at) as known_at,
    orders.known_until
from {{ ref("stg_shop__orders") }} as orders
inner join customers on orders.customer_id = customers.customer_id
where greatest(orders.known_at, customers.first_known_at) < {{ as_of_date() }}
