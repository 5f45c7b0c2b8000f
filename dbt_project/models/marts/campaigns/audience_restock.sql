-- Customers for whom at least two things they buy regularly are due, by their own rhythm.
{% set rule = "at least two products bought four times or more are due by the customer's own rhythm" %}

with due as (
    select
        rhythms.*,
        row_number() over (
            partition by rhythms.customer_id, products.name order by rhythms.times_bought desc, rhythms.product_id
        ) as namesake
    from {{ ref("int_product_rhythms") }} as rhythms
    inner join {{ ref("products") }} as products on rhythms.product_id = products.product_id
    where
        products.is_recommendable
        and products.sold_90d_count > 0
        and rhythms.times_bought >= 4
        and rhythms.usual_gap_days between 7 and 90
        -- Due, and not so long overdue that the habit has ended.
        and rhythms.days_since between 0.9 * rhythms.usual_gap_days and 1.6 * rhythms.usual_gap_days
),

lists as (
    select
        due.customer_id,
        list(
            {{ product_fact("products", "'due'", times_bought="due.times_bought",
                            usual_gap_days="round(due.usual_gap_days, 1)", days_since="due.days_since") }}
            order by due.times_bought desc, due.product_id
        )[1:4] as facts
    from due
    inner join {{ ref("products") }} as products on due.product_id = products.product_id
    where due.namesake = 1
    group by due.customer_id
    having count(*) >= 2
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
    to_json(struct_pack(
        audience_rule := '{{ rule | replace("'", "''") }}',
        features := struct_pack(
            recency_days := features.recency_days,
            gap_mean_days := round(features.gap_mean_days, 1),
            orders_90d_count := features.orders_90d_count,
            usual_weekday := features.usual_weekday,
            usual_hour := features.usual_hour
        ),
        scores := []::struct(name varchar, value double, model_name varchar, model_version varchar, run_id varchar)[]
    ))::varchar as evidence
from lists
inner join {{ ref("customer_features") }} as features
    on lists.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
inner join {{ ref("customers") }} as customers on lists.customer_id = customers.customer_id
-- Somebody who ordered in the last two days has just had the chance to restock.
where features.recency_days > 2
