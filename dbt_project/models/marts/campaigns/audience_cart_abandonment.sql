-- Customers who left something in their cart and have ordered nothing since: the first mail to who left it yesterday or
-- the day before, the others for a week.
{% set rule = "products in the cart for at most 7 days, and no order since" %}

with carts as (
    select
        customer_id,
        max(in_cart_since_date) as left_date
    from {{ ref("int_products_wanted") }}
    where in_cart_since_date >= {{ as_of_date() }} - 7
    group by customer_id
),

lists as (
    select *
    from {{ product_lists(
        "(select * from " ~ ref("int_products_wanted") ~ " where in_cart_since_date >= " ~ as_of_date() ~ " - 7)",
        product_fact("products", "'in_cart'", days_since="(" ~ as_of_date() ~ " - picked.in_cart_since_date)::bigint"),
        "picked.in_cart_since_date desc", 4
    ) }} as lists
)

select
    carts.customer_id,
    steps.step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        left_date := carts.left_date,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "left_days": as_of_date() ~ " - carts.left_date",
        "recency_days": "features.recency_days",
        "abandoned_carts_90d_count": "features.abandoned_carts_90d_count",
    }) }} as evidence
from carts
inner join lists on carts.customer_id = lists.customer_id
inner join {{ ref("customers") }} as customers on carts.customer_id = customers.customer_id
left join {{ ref("customer_features") }} as features
    on carts.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
cross join {{ steps_of("cart_abandonment") }} as steps
where
    -- What was ordered on that day was ordered from the cart, as far as a day can tell.
    coalesce(features.recency_days > {{ as_of_date() }} - carts.left_date, true)
    and (steps.step > 1 or carts.left_date >= {{ as_of_date() }} - 2)
