-- Purchases per customer, product, UTC day and day they became known.
select
    customer_id,
    product_id,
    ordered_date,
    known_date,
    sum(weight)::bigint as line_count,
    sum(weight * quantity)::bigint as quantity,
    sum(weight * (quantity > 0)::integer)::bigint as bought_count,
    max(load_number) as load_number
from {{ ref("int_purchases_changed") }}
where load_number > {{ seen() }}
group by customer_id, product_id, ordered_date, known_date
{{ by_customer() }}
