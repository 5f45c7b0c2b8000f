{{ config(tags = ["training"]) }}

-- Two labels of a customer at a cut-off. `has_churned`: no order in the shop's horizon. `has_churned_by_rhythm`: no
-- order in twice the customer's own mean gap, for whom the shop's horizon is too short or too long.

with cohort as (
    -- Who counts at a cut-off: everybody with an order known by then, in a day of this run.
    select
        customer_id,
        as_of_date,
        {{ var("churn_horizon_days") }}::bigint as horizon_days,
        -- Never under a week, so that a daily buyer who takes a Sunday off has not lapsed. A customer without two days
        -- with an order has no rhythm yet; the shop's horizon stands in.
        least(
            greatest(ceil(2 * coalesce(gap_mean_days, {{ var("churn_horizon_days") }} / 2)), 7), 365
        )::bigint as rhythm_horizon_days
    from {{ ref("customer_features") }}
    where
        as_of_date in (select dates.as_of_date from {{ feature_dates() }} as dates)
        -- The window must have closed before the day of the run, or "no order" may only mean "not yet".
        and as_of_date + {{ var("churn_horizon_days") }} <= {{ as_of_date() }}
),

orders as (
    {{ ordered_days() }}
),

followed as (
    select
        cohort.customer_id,
        cohort.as_of_date,
        cohort.horizon_days,
        cohort.rhythm_horizon_days,
        min(orders.ordered_date) as next_ordered_date
    from cohort
    left join orders
        on cohort.customer_id = orders.customer_id and cohort.as_of_date <= orders.ordered_date
    group by cohort.customer_id, cohort.as_of_date, cohort.horizon_days, cohort.rhythm_horizon_days
)

select
    customer_id,
    as_of_date,
    horizon_days,
    rhythm_horizon_days,
    next_ordered_date,
    coalesce(next_ordered_date >= as_of_date + horizon_days::integer, true) as has_churned,
    case
        when next_ordered_date < as_of_date + rhythm_horizon_days::integer then false
        when as_of_date + rhythm_horizon_days::integer <= {{ as_of_date() }} then true
        -- Censored: the window is still open, and nothing has come yet.
    end as has_churned_by_rhythm
from followed
