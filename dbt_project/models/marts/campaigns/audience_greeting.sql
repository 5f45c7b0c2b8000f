-- Customers who ordered in the last year, on their birthday or a holiday most who read their language keep; of two on a
-- day, the birthday.
{% set rule = "a birthday, or a holiday that most who read their language keep; an order in the last 365 days" %}

with occasions as (
    select
        occasion,
        languages
    from {{ holidays() }} as holidays
    where holiday_date = {{ as_of_date() }}
),

kept as (
    select
        customer_id,
        'birthday' as occasion
    from {{ ref("customers") }}
    -- Who was born on 29 February is greeted on the day after the 28th: in most years on 1 March, since to some early
    -- wishes mean bad luck.
    where
        case
            when birthday = '02-29' then strftime({{ as_of_date() }} - 1, '%m-%d') = '02-28'
            else birthday = strftime({{ as_of_date() }}, '%m-%d')
        end
    union all
    select
        customers.customer_id,
        occasions.occasion
    from {{ ref("customers") }} as customers
    left join {{ ref("stg_published__ledger_preferences") }} as preferences
        on customers.customer_id = preferences.customer_id
    inner join occasions
        on list_contains(occasions.languages, split_part(coalesce(preferences.locale, customers.locale), '_', 1))
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
        occasion := kept.occasion,
        products := coalesce(lists.facts, [])
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "language": "split_part(coalesce(preferences.locale, customers.locale), '_', 1)",
    }) }} as evidence
from kept
inner join {{ ref("customers") }} as customers on kept.customer_id = customers.customer_id
inner join {{ ref("customer_features") }} as features
    on customers.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
left join lists on customers.customer_id = lists.customer_id
left join {{ ref("stg_published__ledger_preferences") }} as preferences
    on customers.customer_id = preferences.customer_id
where features.recency_days <= 365
qualify row_number() over (
    partition by customers.customer_id order by (kept.occasion = 'birthday') desc, kept.occasion
) = 1
