-- Customers who put something into their cart today, have not been seen for an hour and have ordered nothing: the first
-- mail, at the moment of the run.
{% set rule = "products put in the cart today, the customer not seen for an hour, and no order today" %}

with events as (
    select
        customer_id,
        product_id,
        kind,
        happened_at
    from {{ ref("stg_shop__events") }}
    where known_at < {{ moment() }} and happened_at >= {{ as_of_date() }} and happened_at < {{ moment() }}
    -- Of several versions of an event the newest known counts.
    qualify row_number() over (partition by event_id order by known_at desc, source_file desc, source_row desc) = 1
),

looks as (
    select
        customer_id,
        product_id,
        max(happened_at) filter (kind = 'add_to_cart') as last_carted_at,
        max(happened_at) filter (kind = 'remove_from_cart') as last_removed_at
    from events
    where product_id is not null
    group by customer_id, product_id
),

in_cart as (
    select
        customer_id,
        product_id,
        last_carted_at
    from looks
    where last_carted_at is not null and coalesce(last_removed_at < last_carted_at, true)
),

gone as (
    select
        customer_id,
        max(happened_at) as last_seen_at
    from events
    group by customer_id
    having max(happened_at) <= {{ moment() }} - interval 1 hour
),

-- What was ordered today was ordered from the cart, as far as we can tell; also by a version that was cancelled since.
buyers as (
    select distinct customer_id
    from {{ ref("stg_shop__orders") }}
    where known_at < {{ moment() }} and ordered_at >= {{ as_of_date() }}
),

lists as (
    select *
    from {{ product_lists(
        "in_cart", product_fact("products", "'in_cart'", days_since="0::bigint"), "picked.last_carted_at desc", 4
    ) }} as lists
)

select
    gone.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        left_date := {{ as_of_date() }},
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "minutes_since_seen": "date_diff('minute', gone.last_seen_at, " ~ moment() ~ ")",
        "recency_days": "features.recency_days",
        "abandoned_carts_90d_count": "features.abandoned_carts_90d_count",
    }) }} as evidence
from gone
inner join lists on gone.customer_id = lists.customer_id
inner join {{ ref("customers") }} as customers on gone.customer_id = customers.customer_id
left join {{ ref("customer_features") }} as features
    on gone.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
left join buyers on gone.customer_id = buyers.customer_id
where buyers.customer_id is null
