{# Its columns are those of customer_features, whose contract holds for both. #}
{{ config(contract = {"enforced": false}, tags = ["watch"]) }}

-- Features, as of the day, of the customers of whom something became known on the day before it.
select features.*
from {{ ref("customer_features") }} as features
where
    features.as_of_date = {{ as_of_date() }}
    and features.customer_id in (
        select days.customer_id
        from {{ ref("int_customer_days_rolled") }} as days
        where days.known_date = {{ as_of_date() }} - 1
        union
        select activities.customer_id
        from {{ ref("int_customer_activities_rolled") }} as activities
        where activities.known_date = {{ as_of_date() }} - 1
    )
