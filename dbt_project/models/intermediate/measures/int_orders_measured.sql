-- One row per customer and day features are asked for: orders, money and things by age of the day.
{% set rollup = ref("int_customer_days_rolled") %}
{% set windows = [7, 30, 90, 365] %}
{% set sums = [
    "line_count", "discounted_line_count", "quantity", "list_amount_cents", "discount_amount_cents", "net_amount_cents",
] %}

with {{ with_due([(rollup, "ordered_date", windows + [60, 455])]) }}

days as (
    select
        *,
        (as_of_date - ordered_date)::integer as age_days
    from {{ days_known(rollup, ["ordered_date"], "order_count", sums) }} as known_days
)

select
    customer_id,
    as_of_date,
    {{ newest_load() }} as load_number,
    min(ordered_date) as first_ordered_date,
    max(ordered_date) as last_ordered_date,
    {% for days in windows %}
    coalesce(sum(order_count) filter (age_days <= {{ days }}), 0)::bigint as orders_{{ days }}d_count,
    coalesce(sum(net_amount_cents) filter (age_days <= {{ days }}), 0)::bigint as spend_{{ days }}d_cents,
    coalesce(sum(quantity) filter (age_days <= {{ days }}), 0)::bigint as items_{{ days }}d_count,
    {% endfor %}
    sum(order_count)::bigint as orders_lifetime_count,
    sum(net_amount_cents)::bigint as spend_lifetime_cents,
    sum(quantity)::bigint as items_lifetime_count,
    sum(line_count)::bigint as lines_lifetime_count,
    sum(discounted_line_count)::bigint as discounted_lines_count,
    sum(list_amount_cents)::bigint as list_lifetime_cents,
    sum(discount_amount_cents)::bigint as discount_lifetime_cents,
    coalesce(sum(list_amount_cents) filter (age_days <= 90), 0)::bigint as list_90d_cents,
    coalesce(sum(discount_amount_cents) filter (age_days <= 90), 0)::bigint as discount_90d_cents,
    -- For acceleration: the 30 days before the last 30, and the 30 before those.
    coalesce(sum(order_count) filter (age_days between 31 and 60), 0)::bigint as orders_60d_ago_count,
    coalesce(sum(order_count) filter (age_days between 61 and 90), 0)::bigint as orders_90d_ago_count,
    coalesce(sum(net_amount_cents) filter (age_days between 31 and 60), 0)::bigint as spend_60d_ago_cents,
    coalesce(sum(net_amount_cents) filter (age_days between 61 and 90), 0)::bigint as spend_90d_ago_cents,
    -- For seasons: the same 90 days a year ago; orders of November and December.
    coalesce(sum(order_count) filter (age_days between 366 and 455), 0)::bigint as orders_year_ago_count,
    coalesce(sum(order_count) filter (month(ordered_date) >= 11), 0)::bigint as orders_holiday_count
from days
group by customer_id, as_of_date
{{ and_as_before() }}
