-- Customers who wait for discounts and are past their usual gap. How much it takes to move them, and how much they can
-- spend, sizes the offer: the more of their things were discounted the more percent, up to what the campaign allows;
-- from a little more than their usual basket on.
{% set rule = "at least a fifth of the things bought were discounted, and the last order is further back than usual" %}

with lists as (
    select *
    from {{ recommended(4) }} as lists
)

select
    features.customer_id,
    steps.step,
    null::double as value_cents,
    coalesce(len(lists.facts), 0) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        offer := {{ offer_fact(
            "steps",
            "greatest(5, 5 * round(features.discounted_lines_share * steps.offer_discount_percent / 5)::integer)",
            "greatest(steps.offer_min_spend_cents, 500 * ceil(1.2 * features.basket_mean_cents / 500)::bigint)",
        ) }},
        products := coalesce(lists.facts, [])
    ))::varchar as facts,
    {{ evidence(rule, {
        "discounted_lines_share": "round(features.discounted_lines_share, 3)",
        "basket_mean_cents": "round(features.basket_mean_cents)",
        "recency_days": "features.recency_days",
        "gap_mean_days": "round(features.gap_mean_days, 1)",
    }) }} as evidence
from {{ ref("customer_features") }} as features
inner join {{ steps_of("promotion") }} as steps on steps.offer_discount_percent is not null
left join lists on features.customer_id = lists.customer_id
inner join {{ ref("customers") }} as customers on features.customer_id = customers.customer_id
where
    features.as_of_date = {{ as_of_date() }}
    and features.discounted_lines_share >= 0.2
    and features.gap_ratio > 1
