-- Customers who signed up: the first mail to who did in the last two days, the others for 30 days.
{% set rule = "signed up in the last 30 days" %}

with bestsellers as (
    select
        *,
        row_number() over (partition by name order by sold_90d_count desc, product_id) as namesake
    from {{ ref("products") }}
    where is_recommendable and sold_90d_count > 0 and coalesce(stock_count, 1) > 0
),

popular as (
    select
        list(
            {{ product_fact("products", "'popular'") }} order by products.sold_90d_count desc, products.product_id
        )[1:4] as facts
    from bestsellers as products
    where products.namesake = 1
)

select
    customers.customer_id,
    steps.step,
    null::double as value_cents,
    coalesce(len(popular.facts), 0) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        signed_up_date := customers.signed_up_date,
        products := coalesce(popular.facts, [])
    ))::varchar as facts,
    {{ evidence(rule, {"signed_up_days": as_of_date() ~ " - customers.signed_up_date"}) }} as evidence
from {{ ref("customers") }} as customers
cross join popular
cross join {{ steps_of("welcome") }} as steps
where
    customers.signed_up_date >= {{ as_of_date() }} - 30
    and (steps.step > 1 or customers.signed_up_date >= {{ as_of_date() }} - 2)
