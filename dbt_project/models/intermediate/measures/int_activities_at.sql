-- One row per customer, kind of activity, its day and day features are asked for, nearly: as int_customer_days_at.
{{ config(materialized = "ephemeral") }}

with corrected as (
    select distinct customer_id
    from {{ ref("int_customer_activities_rolled") }}
    where activity_count <= 0
)

select activities.* exclude (known_date, load_number) -- noqa: RF02
from {{ known_before_feature_days(ref("int_customer_activities_rolled")) }} as activities
left join corrected on activities.customer_id = corrected.customer_id
where corrected.customer_id is null
union all by name
select
    activities.customer_id,
    activities.as_of_date,
    activities.kind,
    activities.happened_date,
    sum(activities.activity_count)::bigint as activity_count,
    sum(activities.value)::bigint as value
from {{ known_before_feature_days(ref("int_customer_activities_rolled")) }} as activities
inner join corrected on activities.customer_id = corrected.customer_id
group by activities.customer_id, activities.as_of_date, activities.kind, activities.happened_date
having sum(activities.activity_count) <> 0
