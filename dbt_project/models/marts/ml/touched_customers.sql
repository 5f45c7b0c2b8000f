{{ config(tags = ["watch"]) }}

-- The customers with features of the day of whom something became known on the day before it.
with news as (
    select customer_id
    from {{ ref("int_customer_days_rolled") }}
    where known_date = {{ as_of_date() }} - 1
    union
    select customer_id
    from {{ ref("int_customer_activities_rolled") }}
    where known_date = {{ as_of_date() }} - 1
)

select
    features.customer_id,
    features.as_of_date
from {{ ref("customer_features") }} as features
inner join news on features.customer_id = news.customer_id
where features.as_of_date = {{ as_of_date() }}
