-- One row per customer and day features are asked for: the gaps between neighbouring days with an order. Sums of whole
-- numbers, which do not depend on the order of adding.
with gaps as (
    select
        customer_id,
        as_of_date,
        ordered_date,
        ordered_date - lag(ordered_date) over (partition by as_of_date, customer_id order by ordered_date) as gap_days
    from {{ ref("int_customer_days_at") }}
)

select
    customer_id,
    as_of_date,
    count(*) as gap_count,
    sum(gap_days)::bigint as gap_sum_days,
    sum(gap_days * gap_days)::bigint as gap_square_sum,
    max(gap_days)::bigint as gap_max_days,
    quantile_cont(gap_days, 0.5) as gap_median_days,
    quantile_cont(gap_days, 0.9) as gap_p90_days,
    sum(greatest(gap_days - 28, 0))::bigint as long_pause_sum_days,
    arg_max(gap_days, ordered_date)::bigint as gap_last_days,
    -- Came back in the last 30 days, and may have ordered again since.
    bool_or(gap_days > 180 and as_of_date - ordered_date <= 30) as has_returned
from gaps
where gap_days > 0
group by customer_id, as_of_date
