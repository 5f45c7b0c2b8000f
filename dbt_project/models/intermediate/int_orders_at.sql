-- One row per order and day features are asked for: what the order was, as known at 00:00 UTC of that day.
select
    dates.as_of_date,
    purchases.order_id,
    any_value(purchases.customer_id) as customer_id,
    min(purchases.ordered_at) as ordered_at,
    min(purchases.ordered_date) as ordered_date,
    min(purchases.ordered_at_local) as ordered_at_local,
    count(*) as line_count,
    sum(purchases.list_amount_cents)::bigint as list_amount_cents,
    sum(purchases.discount_amount_cents)::bigint as discount_amount_cents,
    sum(purchases.net_amount_cents)::bigint as net_amount_cents
from {{ ref("int_purchases_known") }} as purchases
inner join {{ feature_dates() }} as dates
    on {{ known_at_day("purchases", "dates.as_of_date") }}
group by dates.as_of_date, purchases.order_id
