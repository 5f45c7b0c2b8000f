-- Sales per product, UTC day, price of one piece before discounts and day they became known.
select
    product_id,
    ordered_date,
    round(list_amount_cents / quantity)::bigint as price_cents,
    known_date,
    sum(weight)::bigint as line_count,
    max(load_number) as load_number
from {{ ref("int_purchases_changed") }}
where load_number > {{ seen() }} and quantity > 0 and list_amount_cents > 0
group by all
