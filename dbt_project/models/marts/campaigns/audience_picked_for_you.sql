-- Once a week, on the day before their usual shopping day: things the customer has never bought.
{% set rule = "active in the last 56 days; tomorrow is the customer's usual shopping day" %}

with lists as (
    select *
    from {{ recommended(6) }} as lists
),

best as (
    select *
    from {{ ref("stg_published__recommendations") }}
    where question = 'new' and rank = 1
)

select
    lists.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "orders_90d_count": "features.orders_90d_count",
        "usual_weekday": "features.usual_weekday",
        "usual_hour": "features.usual_hour",
        "category_1_share": "round(features.category_1_share, 3)",
        "top_category": "features.top_category",
    }, {"best_recommendation": ("round(best.score, 4)", "best")}) }} as evidence
from lists
inner join best on lists.customer_id = best.customer_id
inner join {{ ref("customer_features") }} as features
    on lists.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
inner join {{ ref("customers") }} as customers on lists.customer_id = customers.customer_id
where
    features.recency_days <= 56
    and features.usual_weekday = dayofweek({{ as_of_date() }} + 1)
