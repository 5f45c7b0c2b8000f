{{ config(
    materialized = "incremental", incremental_strategy = "append", on_schema_change = "fail",
    pre_hook = "{% if is_incremental() %} delete from {{ this }} where raised_date = {{ as_of_date() }} {% endif %}"
) }}

-- One row per warning. A customer in a band that is warned of is warned of once: again only when the horizon has
-- passed, or an order has come since. The scores are those of the day, or of those scored again on its eve; what the
-- eve raised is raised anew, or not, when the day has come.
-- depends_on: {{ ref("stg_published__churn_scores") }}, {{ ref("stg_published__churn_watch") }}
-- depends_on: {{ ref("int_customer_days_rolled") }}
with scores as (
    select *
    from {{ ref("stg_published__" ~ env_var("LAPWING_SCORES", "churn_scores")) }}
    where churn_band in ('medium', 'high')
),

{% if is_incremental() %}
orders as (
    {{ ordered_days() }}
),

still_open as (
    select distinct raised.customer_id
    from {{ this }} as raised
    left join orders on raised.customer_id = orders.customer_id and raised.raised_date <= orders.ordered_date
    where
        raised.raised_date < {{ as_of_date() }}
        and {{ as_of_date() }} < raised.closes_date
        and orders.customer_id is null
)
{% else %}
still_open as (
    select null::varchar as customer_id
    where false
)
{% endif %}

select
    md5(scores.customer_id || '|' || scores.as_of_date) as warning_id,
    scores.customer_id,
    scores.as_of_date as raised_date,
    scores.as_of_date + {{ var("churn_horizon_days") }}::integer as closes_date,
    scores.churn_band,
    scores.churn_probability,
    round(scores.value_at_stake_cents)::bigint as value_at_stake_cents,
    scores.model_name,
    scores.model_version,
    scores.run_id
from scores
where scores.customer_id not in (select still_open.customer_id from still_open)
