-- One row per order line and version, from the moment the line, its order and its product were known.
with products as (
    select
        product_id,
        min(known_at) as first_known_at
    from {{ ref("stg_shop__products") }}
    group by product_id
)

select
    lines.order_id,
    lines.line_number,
    orders.customer_id,
    lines.product_id,
    orders.ordered_at,
    orders.ordered_date,
    orders.ordered_at_local,
    lines.quantity,
    lines.list_amount_cents,
    lines.discount_amount_cents,
    lines.net_amount_cents,
    greatest(lines.known_at, orders.known_at, products.first_known_at) as known_at,
    least(lines.known_until, orders.known_until) as known_until
from {{ ref("stg_shop__order_lines") }} as lines
inner join {{ ref("int_orders_known") }} as orders
    on
        lines.order_id = orders.order_id
        -- Versions of a line and of its order belong together where their times overlap.
        and lines.known_at < coalesce(orders.known_until, timestamp 'infinity')
        and orders.known_at < coalesce(lines.known_until, timestamp 'infinity')
inner join products on lines.product_id = products.product_id
where greatest(lines.known_at, orders.known_at, products.first_known_at) < {{ as_of_date() }}
