{{ config(tags = ["training"]) }}

with cohort as (
    select
        customer_id,
        as_of_date
    from {{ ref("customer_features") }}
    where
        as_of_date in (select dates.as_of_date from {{ feature_dates() }} as dates)
        -- The window must have closed before the day of the run, or "no order" may only mean "not yet".
        and as_of_date + {{ var("churn_horizon_days") }} <= {{ as_of_date() }}
),

orders as (
    select
        customer_id,
        ordered_date
    from {{ ref("int_customer_days_rolled") }}
    where known_date < {{ as_of_date() }}
    group by customer_id, ordered_date
    having sum(order_count) > 0
)

select
    cohort.customer_id,
    cohort.as_of_date,
    count(orders.ordered_date) = 0 as has_churned
from cohort
left join orders
    on
        cohort.customer_id = orders.customer_id
        and cohort.as_of_date <= orders.ordered_date
        and orders.ordered_date < cohort.as_of_date + {{ var("churn_horizon_days") }}
group by cohort.customer_id, cohort.as_of_date
