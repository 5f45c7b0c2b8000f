-- One row per order and day features are asked for: what the order was, as known at 00:00 UTC of that day.
-- Lines with the same validity are summed before the days multiply them: ten times fewer rows.
with parts as (
    select
        order_id,
        known_at,
        known_until,
        any_value(customer_id) as customer_id,
        min(ordered_at) as ordered_at,
        min(ordered_date) as ordered_date,
        min(ordered_at_local) as ordered_at_local,
        count(*) as line_count,
        sum(list_amount_cents)::bigint as list_amount_cents,
        sum(discount_amount_cents)::bigint as discount_amount_cents,
        sum(net_amount_cents)::bigint as net_amount_cents
    from {{ ref("int_purchases_known") }}
    group by order_id, known_at, known_until
)

select
    dates.as_of_date,
    parts.order_id,
    any_value(parts.customer_id) as customer_id,
    min(parts.ordered_at) as ordered_at,
    min(parts.ordered_date) as ordered_date,
    min(parts.ordered_at_local) as ordered_at_local,
    sum(parts.line_count)::bigint as line_count,
    sum(parts.list_amount_cents)::bigint as list_amount_cents,
    sum(parts.discount_amount_cents)::bigint as discount_amount_cents,
    sum(parts.net_amount_cents)::bigint as net_amount_cents
from parts
inner join {{ feature_dates() }} as dates
    on {{ known_at_day("parts", "dates.as_of_date") }}
group by dates.as_of_date, parts.order_id
