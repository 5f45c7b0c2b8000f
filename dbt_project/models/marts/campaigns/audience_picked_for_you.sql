-- Once a week, on the day before their usual shopping day: things the customer has never bought.
{% set rule = "active in the last 56 days; tomorrow is the customer's usual shopping day" %}

with shown as (
    select
        recommendations.*,
        row_number() over (
            partition by recommendations.customer_id, products.name order by recommendations.rank
        ) as namesake
    from {{ ref("stg_published__recommendations") }} as recommendations
    inner join {{ ref("products") }} as products on recommendations.product_id = products.product_id
    where recommendations.question = 'new' and products.is_recommendable
),

recommendations as (
    select
        recommendations.customer_id,
        list(
            -- What a mail may not name is no reason to state, and a product is not popular for want of one.
            case
                when recommendations.because_product_id is not null and because.name is null
                    then {{ product_fact("products", "'history'") }}
                else
                    {{ product_fact("products", "recommendations.reason", reason_product_name="because.name",
                                    bought_date="recommendations.last_bought_date",
                                    days_since="(" ~ as_of_date() ~ " - recommendations.last_bought_date)::bigint") }}
            end
            order by recommendations.rank
        )[1:6] as facts,
        max(recommendations.score) filter (recommendations.rank = 1) as best_score,
        any_value(recommendations.model_name) as model_name,
        any_value(recommendations.model_version) as model_version,
        any_value(recommendations.run_id) as run_id
    from shown as recommendations
    inner join {{ ref("products") }} as products on recommendations.product_id = products.product_id
    left join {{ ref("products") }} as because
        on recommendations.because_product_id = because.product_id and because.is_recommendable
    where recommendations.namesake = 1
    group by recommendations.customer_id
)

select
    recommendations.customer_id,
    1 as step,
    null::double as value_cents,
    len(recommendations.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        products := recommendations.facts
    ))::varchar as facts,
    to_json(struct_pack(
        audience_rule := '{{ rule | replace("'", "''") }}',
        features := struct_pack(
            recency_days := features.recency_days,
            orders_90d_count := features.orders_90d_count,
            usual_weekday := features.usual_weekday,
            usual_hour := features.usual_hour,
            category_1_share := round(features.category_1_share, 3),
            top_category := features.top_category
        ),
        scores := [struct_pack(
            name := 'best_recommendation', value := round(recommendations.best_score, 4),
            model_name := recommendations.model_name, model_version := recommendations.model_version,
            run_id := recommendations.run_id
        )]
    ))::varchar as evidence
from recommendations
inner join {{ ref("customer_features") }} as features
    on recommendations.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
inner join {{ ref("customers") }} as customers on recommendations.customer_id = customers.customer_id
where
    features.recency_days <= 56
    and features.usual_weekday = dayofweek({{ as_of_date() }} + 1)
