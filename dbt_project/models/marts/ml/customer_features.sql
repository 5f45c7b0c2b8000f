{{ config(
    materialized = "incremental", incremental_strategy = "delete+insert",
    unique_key = "as_of_date", on_schema_change = "fail", tags = ["features"]
) }}

with orders as (
    select
        *,
        (as_of_date - ordered_date)::bigint as age_days,
        extract(hour from ordered_at_local)::bigint as local_hour,
        -- 0 is Sunday.
        extract(dayofweek from ordered_at_local)::bigint as local_weekday
    from {{ ref("int_orders_at") }}
),

totals as (
    select
        customer_id,
        as_of_date,
        min(age_days) as recency_days,
        max(age_days) as tenure_days,
        count(*) filter (age_days <= 7) as orders_7d_count,
        count(*) filter (age_days <= 30) as orders_30d_count,
        count(*) filter (age_days <= 90) as orders_90d_count,
        count(*) as orders_lifetime_count,
        coalesce(sum(net_amount_cents) filter (age_days <= 30), 0)::bigint as spend_30d_cents,
        coalesce(sum(net_amount_cents) filter (age_days <= 90), 0)::bigint as spend_90d_cents,
        sum(net_amount_cents)::bigint as spend_lifetime_cents,
        sum(list_amount_cents)::bigint as list_lifetime_cents,
        sum(discount_amount_cents)::bigint as discount_lifetime_cents,
        sum(line_count)::bigint as lines_lifetime_count,
        count(*) filter (local_weekday in (0, 6)) as weekend_count,
        count(*) filter (local_hour < 12) as morning_count,
        count(*) filter (local_hour >= 18) as evening_count
    from orders
    group by customer_id, as_of_date
),

-- Gaps between days with an order; whole numbers, so that their sums do not depend on the order of adding.
gaps as (
    select
        customer_id,
        as_of_date,
        ordered_date - lag(ordered_date) over (partition by customer_id, as_of_date order by ordered_date) as gap_days
    from (select distinct
        customer_id,
        as_of_date,
        ordered_date
    from orders) as order_days
),

rhythm as (
    select
        customer_id,
        as_of_date,
        count(gap_days) as gap_count,
        sum(gap_days)::bigint as gap_sum,
        sum(gap_days * gap_days)::bigint as gap_square_sum
    from gaps
    group by customer_id, as_of_date
),

hours as (
    select
        customer_id,
        as_of_date,
        local_hour,
        count(*) as order_count,
        row_number() over (
            partition by customer_id, as_of_date order by count(*) desc, local_hour
        ) as place
    from orders
    group by customer_id, as_of_date, local_hour
),

weekdays as (
    select
        customer_id,
        as_of_date,
        local_weekday,
        row_number() over (
            partition by customer_id, as_of_date order by count(*) desc, local_weekday
        ) as place
    from orders
    group by customer_id, as_of_date, local_weekday
),

categories as (
    select
        customer_id,
        as_of_date,
        max(category) filter (category_rank = 1) as top_category,
        -- A customer who has only ever paid with vouchers has spent nothing: every share is then 0.
        coalesce(max(net_amount_cents / nullif(customer_cents, 0)) filter (category_rank = 1), 0) as category_1_share,
        coalesce(max(net_amount_cents / nullif(customer_cents, 0)) filter (category_rank = 2), 0) as category_2_share,
        coalesce(max(net_amount_cents / nullif(customer_cents, 0)) filter (category_rank = 3), 0) as category_3_share,
        -- Shannon's entropy in nats. Summed as whole billionths, so that adding in another order gives the same.
        coalesce(sum(
            case
                when net_amount_cents > 0
                    then -round(1e9 * net_amount_cents / customer_cents * ln(net_amount_cents / customer_cents))
            end::bigint
        ), 0) / 1e9 as category_entropy,
        coalesce(sum(own_brand_cents)::bigint / nullif(max(customer_cents), 0), 0) as own_brand_share
    from {{ ref("int_spend_by_category_at") }}
    group by customer_id, as_of_date
)

select
    totals.customer_id,
    totals.as_of_date,
    totals.recency_days,
    totals.tenure_days,
    totals.orders_7d_count,
    totals.orders_30d_count,
    totals.orders_90d_count,
    totals.orders_lifetime_count,
    totals.spend_30d_cents,
    totals.spend_90d_cents,
    totals.spend_lifetime_cents,
    totals.spend_lifetime_cents / totals.orders_lifetime_count as basket_mean_cents,
    totals.lines_lifetime_count / totals.orders_lifetime_count as basket_mean_lines,
    rhythm.gap_sum / nullif(rhythm.gap_count, 0) as gap_mean_days,
    case
        when rhythm.gap_count > 1
            then sqrt(
                greatest(rhythm.gap_square_sum - rhythm.gap_sum * rhythm.gap_sum / rhythm.gap_count, 0)
                / (rhythm.gap_count - 1)
            )
    end as gap_std_days,
    totals.recency_days / nullif(rhythm.gap_sum / nullif(rhythm.gap_count, 0), 0) as gap_ratio,
    -- The last 30 days against a usual 30 of the 60 before; half an order (one unit of money) keeps it finite.
    (totals.orders_30d_count + 0.5::double)
    / ((totals.orders_90d_count - totals.orders_30d_count) / 2 + 0.5::double) as orders_trend_ratio,
    (totals.spend_30d_cents + 100.0::double)
    / ((totals.spend_90d_cents - totals.spend_30d_cents) / 2 + 100.0::double) as spend_trend_ratio,
    least(coalesce(totals.discount_lifetime_cents / nullif(totals.list_lifetime_cents, 0), 0), 1) as discount_share,
    categories.category_1_share,
    categories.category_2_share,
    categories.category_3_share,
    categories.category_entropy,
    totals.weekend_count / totals.orders_lifetime_count as weekend_share,
    totals.morning_count / totals.orders_lifetime_count as morning_share,
    totals.evening_count / totals.orders_lifetime_count as evening_share,
    hours.local_hour::double as usual_hour,
    hours.order_count / totals.orders_lifetime_count as usual_hour_share,
    weekdays.local_weekday::double as usual_weekday,
    categories.own_brand_share,
    categories.top_category
from totals
inner join rhythm on totals.customer_id = rhythm.customer_id and totals.as_of_date = rhythm.as_of_date
inner join hours on totals.customer_id = hours.customer_id and totals.as_of_date = hours.as_of_date and hours.place = 1
inner join weekdays
    on totals.customer_id = weekdays.customer_id and totals.as_of_date = weekdays.as_of_date and weekdays.place = 1
inner join categories on totals.customer_id = categories.customer_id and totals.as_of_date = categories.as_of_date
