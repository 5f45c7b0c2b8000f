-- Customers who bought something for the first time 10 to 13 days ago, kept it and have not reviewed it. A shop that
-- brings no reviews asks for none.
{% set rule = "bought it for the first time 10 to 13 days ago, did not return or review it, no complaint in 90 days" %}

with reviews as (
    select distinct
        customer_id,
        product_id
    from {{ ref("stg_shop__reviews") }}
    where known_at < {{ as_of_date() }}
),

-- One row where the shop brings reviews.
brought as (
    select distinct true as is_brought
    from reviews
),

returned as (
    select distinct
        customer_id,
        product_id
    from {{ ref("stg_shop__returns") }}
    where known_at < {{ as_of_date() }}
),

picked as (
    select
        interactions.customer_id,
        interactions.product_id,
        min(interactions.ordered_date) as first_bought_date
    from {{ ref("interactions") }} as interactions
    left join reviews
        on interactions.customer_id = reviews.customer_id and interactions.product_id = reviews.product_id
    left join returned
        on
            interactions.customer_id = returned.customer_id
            and interactions.product_id is not distinct from coalesce(returned.product_id, interactions.product_id)
    cross join brought
    where reviews.customer_id is null and returned.customer_id is null
    group by interactions.customer_id, interactions.product_id
    having min(interactions.ordered_date) between {{ as_of_date() }} - 13 and {{ as_of_date() }} - 10
),

newest as (
    select
        customer_id,
        max(first_bought_date) as ordered_date
    from picked
    group by customer_id
),

of_one_order as (
    select picked.*
    from picked
    inner join newest on picked.customer_id = newest.customer_id and picked.first_bought_date = newest.ordered_date
),

lists as (
    select *
    from {{ product_lists(
        "of_one_order", product_fact("products", "'just_bought'"), "products.price_cents desc", 3
    ) }} as lists
)

select
    newest.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        ordered_date := newest.ordered_date,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "reviews_lifetime_count": "features.reviews_lifetime_count",
        "complaints_90d_count": "features.complaints_90d_count",
    }) }} as evidence
from newest
inner join lists on newest.customer_id = lists.customer_id
inner join {{ ref("customers") }} as customers on newest.customer_id = customers.customer_id
inner join {{ ref("customer_features") }} as features
    on newest.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
where coalesce(features.complaints_90d_count, 0) = 0
