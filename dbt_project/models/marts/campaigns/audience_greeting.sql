-- Customers who ordered in the last year, on a holiday most who read their language keep; of two on a day, the first.
{% set rule = "a holiday that most who read the customer's language keep, and an order in the last 365 days" %}

with occasions as (
    select
        occasion,
        languages
    from {{ holidays() }} as holidays
    where holiday_date = {{ as_of_date() }}
),

lists as (
    select *
    from {{ recommended(3) }} as lists
)

select
    customers.customer_id,
    1 as step,
    null::double as value_cents,
    coalesce(len(lists.facts), 0) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        occasion := occasions.occasion,
        products := coalesce(lists.facts, [])
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "language": "split_part(customers.locale, '_', 1)",
    }) }} as evidence
from {{ ref("customers") }} as customers
inner join occasions on list_contains(occasions.languages, split_part(customers.locale, '_', 1))
inner join {{ ref("customer_features") }} as features
    on customers.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
left join lists on customers.customer_id = lists.customer_id
where features.recency_days <= 365
qualify row_number() over (partition by customers.customer_id order by occasions.occasion) = 1
