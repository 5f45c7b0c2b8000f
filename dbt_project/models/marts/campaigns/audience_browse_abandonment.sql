-- Customers who looked around in the last three days, put nothing into the cart and have ordered nothing since.
{% set rule = "looked at products in the last 3 days, with nothing in the cart and no order since" %}

with visits as (
    select
        customer_id,
        max(last_looked_date) as looked_date
    from {{ ref("int_products_wanted") }}
    group by customer_id
    having
        max(last_looked_date) >= {{ as_of_date() }} - 3
        and coalesce(max(in_cart_since_date) < {{ as_of_date() }} - 7, true)
),

lists as (
    select *
    from {{ product_lists(
        "(select * from " ~ ref("int_products_wanted") ~ " where last_looked_date >= " ~ as_of_date() ~ " - 3)",
        product_fact("products", "'looked_at'", days_since="(" ~ as_of_date() ~ " - picked.last_looked_date)::bigint"),
        "picked.last_looked_date desc", 3
    ) }} as lists
)

select
    visits.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        looked_date := visits.looked_date,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "views_7d_count": "features.views_7d_count",
        "last_visit_days": "features.last_visit_days",
    }) }} as evidence
from visits
inner join lists on visits.customer_id = lists.customer_id
inner join {{ ref("customers") }} as customers on visits.customer_id = customers.customer_id
left join {{ ref("customer_features") }} as features
    on visits.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
where coalesce(features.recency_days > {{ as_of_date() }} - visits.looked_date, true)
