-- One row per customer and day features are asked for: the first and the last day with an order, the gaps between
-- neighbouring ones, and which of the newest days had one. Sums of whole numbers, which do not depend on the order of
-- adding.
{% set rollup = ref("int_customer_days_rolled") %}

with {{ with_due([(rollup, "ordered_date", [])]) }}

ordered as (
    select
        customer_id,
        as_of_date,
        ordered_date,
        lag(ordered_date) over by_day as day_before,
        first_value(ordered_date) over by_day as first_ordered_date,
        last_value(ordered_date) over (
            by_day rows between unbounded preceding and unbounded following
        ) as last_ordered_date
    from {{ days_known(rollup, ["ordered_date"], "order_count", []) }} as known_days
    window by_day as (partition by as_of_date, customer_id order by ordered_date)
),

days as (
    select
        customer_id,
        as_of_date,
        ordered_date,
        -- A day may stand in several rows; between them lies no gap.
        nullif(ordered_date - day_before, 0) as gap_days,
        last_ordered_date - ordered_date as days_to_last,
        (ordered_date - first_ordered_date) // 28 as span,
        (day_before - first_ordered_date) // 28 as span_before
    from ordered
),

measured as (
    select
        customer_id,
        as_of_date,
        min(ordered_date) as first_ordered_date,
        max(ordered_date) as last_ordered_date,
        count(gap_days) as gap_count,
        sum(gap_days)::bigint as gap_sum_days,
        sum(gap_days * gap_days)::bigint as gap_square_sum,
        max(gap_days)::bigint as gap_max_days,
        quantile_cont(gap_days, 0.5) as gap_median_days,
        quantile_cont(gap_days, 0.9) as gap_p90_days,
        sum(greatest(gap_days - 28, 0))::bigint as long_pause_sum_days,
        arg_max(gap_days, ordered_date)::bigint as gap_last_days,
        max(ordered_date) filter (gap_days > 180) as returned_date,
        -- Bit n: an order n days before the last one, of as many days as features look back on day by day.
        bit_or(1::hugeint << least(days_to_last, 84)::integer) filter (days_to_last < 84) as order_days_bits,
        -- Spans of 28 days from the first order on.
        (1 + count(*) filter (span <> span_before))::bigint as active_spans_count
    from days
    group by customer_id, as_of_date
)

{{ whoever_is_due("measured") }}
