-- Customers who ordered five to seven days ago and have not answered a survey for 90 days. It asks what the shop's
-- newest survey asks; a shop that brings no answers asks nothing.
{% set rule = "the last order is 5 to 7 days old, no answer to a survey in the last 90 days" %}

with answers as (
    select
        customer_id,
        survey,
        answered_at
    from {{ ref("stg_shop__survey_answers") }}
    where known_at < {{ as_of_date() }}
),

surveys as (
    select arg_max(survey, struct_pack(answered_at, survey)) as survey
    from answers
),

answered as (
    select
        customer_id,
        max(answered_at)::date as last_answered_date
    from answers
    group by customer_id
)

select
    features.customer_id,
    1 as step,
    null::double as value_cents,
    0::bigint as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        ordered_date := {{ as_of_date() }} - features.recency_days::integer,
        survey := surveys.survey
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "survey_answers_lifetime_count": "features.survey_answers_lifetime_count",
    }) }} as evidence
from {{ ref("customer_features") }} as features
inner join surveys on surveys.survey is not null
left join answered on features.customer_id = answered.customer_id
inner join {{ ref("customers") }} as customers on features.customer_id = customers.customer_id
where
    features.as_of_date = {{ as_of_date() }}
    and features.recency_days between 5 and 7
    and coalesce(answered.last_answered_date < {{ as_of_date() }} - 90, true)
