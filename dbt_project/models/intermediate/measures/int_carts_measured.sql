-- One row per customer and day features are asked for: carts of the last 90 days that no order followed on their day
-- or the next. A cart of yesterday is not judged yet.
{% set activities, orders = ref("int_customer_activities_rolled"), ref("int_customer_days_rolled") %}

with {{ with_due([(activities, "happened_date", [1, 30, 90]), (orders, "ordered_date", [])]) }}

carts as (
    select distinct
        customer_id,
        as_of_date,
        happened_date
    from {{ days_known(activities, ["kind", "happened_date"], "activity_count", [], ("happened_date", 90)) }} as days
    where kind = 'add_to_cart' and happened_date <= as_of_date - 2
),

orders as (
    select distinct
        customer_id,
        as_of_date,
        ordered_date
    from {{ days_known(orders, ["ordered_date"], "order_count", [], ("ordered_date", 90)) }} as days
),

measured as (
    select
        carts.customer_id,
        carts.as_of_date,
        count(*) as carts_90d_count,
        count(*) filter (same_day.ordered_date is null and next_day.ordered_date is null) as abandoned_carts_90d_count,
        count(*) filter (
            same_day.ordered_date is null
            and next_day.ordered_date is null
            and carts.as_of_date - carts.happened_date <= 30
        ) as abandoned_carts_30d_count
    from carts
    left join orders as same_day
        on
            carts.customer_id = same_day.customer_id
            and carts.as_of_date = same_day.as_of_date
            and carts.happened_date = same_day.ordered_date
    left join orders as next_day
        on
            carts.customer_id = next_day.customer_id
            and carts.as_of_date = next_day.as_of_date
            and carts.happened_date + 1 = next_day.ordered_date
    group by carts.customer_id, carts.as_of_date
)

{{ whoever_is_due("measured") }}
