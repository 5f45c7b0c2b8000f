-- Orders per customer, hour and weekday of the shop's clock, and day they became known.
select
    customer_id,
    local_hour,
    local_weekday,
    known_date,
    sum(weight)::bigint as order_count,
    max(load_number) as load_number
from {{ ref("int_orders_changed") }}
where load_number > {{ seen() }}
group by customer_id, local_hour, local_weekday, known_date
{{ by_customer() }}
