-- One row per customer and day features are asked for: carts of the last 90 days that no order followed on their day
-- or the next. A cart of yesterday is not judged yet.
with carts as (
    select distinct
        customer_id,
        as_of_date,
        happened_date
    from {{ ref("int_activities_at") }}
    where kind = 'add_to_cart' and as_of_date - happened_date between 2 and 90
),

orders as (
    select distinct
        customer_id,
        as_of_date,
        ordered_date
    from {{ ref("int_customer_days_at") }}
    where as_of_date - ordered_date <= 90
)

select
    carts.customer_id,
    carts.as_of_date,
    count(*) as carts_90d_count,
    count(*) filter (same_day.ordered_date is null and next_day.ordered_date is null) as abandoned_carts_90d_count,
    count(*) filter (
        same_day.ordered_date is null and next_day.ordered_date is null and carts.as_of_date - carts.happened_date <= 30
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
