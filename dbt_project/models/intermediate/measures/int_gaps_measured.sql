-- One row per customer and day features are asked for: the gaps between neighbouring days with an order. Sums of whole
-- numbers, which do not depend on the order of adding.
{% set rollup = ref("int_customer_days_rolled") %}

with {{ with_due([(rollup, "ordered_date", [30])]) }}

gaps as (
    select
        customer_id,
        as_of_date,
        ordered_date,
        ordered_date - lag(ordered_date) over (partition by as_of_date, customer_id order by ordered_date) as gap_days
    from {{ days_known(rollup, ["ordered_date"], "order_count", []) }} as known_days
)

select
    customer_id,
    as_of_date,
    {{ newest_load() }} as load_number,
    count(*) as gap_count,
    sum(gap_days)::bigint as gap_sum_days,
    sum(gap_days * gap_days)::bigint as gap_square_sum,
    max(gap_days)::bigint as gap_max_days,
    arg_max(gap_days, ordered_date)::bigint as gap_last_days,
    -- Came back in the last 30 days, and may have ordered again since.
    bool_or(gap_days > 180 and as_of_date - ordered_date <= 30) as has_returned
from gaps
where gap_days > 0
group by customer_id, as_of_date
{{ and_as_before() }}
