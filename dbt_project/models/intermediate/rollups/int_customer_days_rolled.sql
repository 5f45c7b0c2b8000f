-- Orders and money per customer, UTC day and day it became known; a day may stand here several times: sum them.
select
    customer_id,
    ordered_date,
    known_date,
    sum(order_weight)::bigint as order_count,
    sum(line_weight)::bigint as line_count,
    sum(line_weight * is_discounted)::bigint as discounted_line_count,
    sum(line_weight * quantity)::bigint as quantity,
    sum(line_weight * list_amount_cents)::bigint as list_amount_cents,
    sum(line_weight * discount_amount_cents)::bigint as discount_amount_cents,
    sum(line_weight * net_amount_cents)::bigint as net_amount_cents,
    max(load_number) as load_number
from (
    select
        customer_id,
        ordered_date,
        known_date,
        weight as order_weight,
        0 as line_weight,
        0 as is_discounted,
        0 as quantity,
        0 as list_amount_cents,
        0 as discount_amount_cents,
        0 as net_amount_cents,
        load_number
    from {{ ref("int_orders_changed") }}
    where load_number > {{ seen() }}
    union all
    select
        customer_id,
        ordered_date,
        known_date,
        0 as order_weight,
        weight as line_weight,
        (discount_amount_cents > 0)::integer as is_discounted,
        quantity,
        list_amount_cents,
        discount_amount_cents,
        net_amount_cents,
        load_number
    from {{ ref("int_purchases_changed") }}
    where load_number > {{ seen() }}
) as changes
group by customer_id, ordered_date, known_date
{{ by_customer() }}
