-- Customers whom trying to keep is worth its costs, who used to come often enough to be missed, for each step.
{% set rule = "keeping them is worth its costs, at least 4 orders before, none in the last 14 days" %}

with scores as (
    select * from {{ ref("stg_published__churn_scores") }}
),

reasons as (
    select
        customer_id,
        list(
            struct_pack(reason := reason, shift_log_odds := round(shift_log_odds, 4), text := text) order by rank
        ) as told
    from {{ ref("stg_published__churn_reasons") }}
    where rank <= 3 and shift_log_odds > 0
    group by customer_id
),

habits as (
    select rhythms.*
    from {{ ref("int_product_rhythms") }} as rhythms
    inner join {{ ref("products") }} as products on rhythms.product_id = products.product_id
    where products.sold_90d_count > 0
),

favourites as (
    select
        *,
        list_transform(facts, lambda fact: fact['name']) as names
    from {{ product_lists(
        "habits",
        product_fact("products", "'favourite'", times_bought="picked.times_bought",
                     usual_gap_days="round(picked.usual_gap_days, 1)", days_since="picked.days_since"),
        "picked.times_bought desc", 3
    ) }} as favourites
),

-- What else there is, for the step that gives a reason to return. A product called like a favourite looks like it.
recommendations as (
    select *
    from {{ recommended(3) }} as recommendations
)

select
    scores.customer_id,
    steps.step,
    scores.expected_profit_cents as value_cents,
    coalesce(len(favourites.facts), 0) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        days_since_last_order := features.recency_days,
        usual_gap_days := round(features.gap_mean_days, 1),
        offer := {{ offer_fact("steps") }},
        products := case
            when steps.step_name = 'reason_to_return'
                then list_concat(
                    coalesce(favourites.facts, []),
                    list_filter(
                        coalesce(recommendations.facts, []),
                        lambda fact: not coalesce(list_contains(favourites.names, fact['name']), false)  -- noqa: RF02
                    )
                )
            else coalesce(favourites.facts, [])
        end
    ))::varchar as facts,
    to_json(struct_pack(
        audience_rule := '{{ rule }}',
        features := struct_pack(
            recency_days := features.recency_days,
            gap_mean_days := round(features.gap_mean_days, 1),
            gap_ratio := round(features.gap_ratio, 2),
            orders_lifetime_count := features.orders_lifetime_count,
            orders_trend_ratio := round(features.orders_trend_ratio, 2),
            spend_90d_cents := features.spend_90d_cents
        ),
        scores := [struct_pack(
            name := 'churn_probability', value := round(scores.churn_probability, 4), model_name := scores.model_name,
            model_version := scores.model_version, run_id := scores.run_id
        ), struct_pack(
            name := 'expected_profit_cents', value := round(scores.expected_profit_cents, 1),
            model_name := scores.model_name, model_version := scores.model_version, run_id := scores.run_id
        )],
        reasons := coalesce(reasons.told, [])
    ))::varchar as evidence
from scores
inner join {{ ref("customer_features") }} as features
    on scores.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
inner join {{ ref("customers") }} as customers on scores.customer_id = customers.customer_id
left join reasons on scores.customer_id = reasons.customer_id
cross join {{ steps_of("winback") }} as steps
left join recommendations on scores.customer_id = recommendations.customer_id
left join favourites on scores.customer_id = favourites.customer_id
where
    -- More than 0: the margin a mail is expected to keep is more than what it and its incentive cost.
    scores.expected_profit_cents > 0
    and features.orders_lifetime_count >= 4
    and features.recency_days >= 14
