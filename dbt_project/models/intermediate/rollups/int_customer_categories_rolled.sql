-- Purchases per customer, category and day they became known.
select
    customer_id,
    category,
    known_date,
    sum(weight)::bigint as line_count,
    sum(weight * net_amount_cents)::bigint as net_amount_cents,
    sum(weight * net_amount_cents * is_own_brand::integer)::bigint as own_brand_cents,
    max(load_number) as load_number
from {{ ref("int_purchases_changed") }}
where load_number > {{ seen() }}
group by customer_id, category, known_date
{{ by_customer() }}
