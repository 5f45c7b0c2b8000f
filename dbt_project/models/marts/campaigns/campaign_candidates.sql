{# A view: with a table, what a mail states would be written once more for every candidate, and few of them win. #}
{{ config(materialized = "view") }}

-- Of what the audiences propose, the step that each customer stands before. Which audiences take part is asked by an
-- environment variable: a new campaign needs no change here.
with proposed as (
    select
        null::varchar as campaign_id,
        null::integer as step,
        null::varchar as customer_id,
        null::double as value_cents,
        null::bigint as product_count,
        null::varchar as facts,
        null::varchar as evidence
    where false
    {% for campaign_id in env_var("LAPWING_CAMPAIGNS", "").split(",") if campaign_id %}
    union all
    select
        '{{ campaign_id }}' as campaign_id,
        step,
        customer_id,
        value_cents,
        product_count,
        facts,
        evidence
    from {{ ref("audience_" ~ campaign_id) }}
    {% endfor %}
)

select
    proposed.campaign_id,
    proposed.step,
    proposed.customer_id,
    {{ as_of_date() }} as as_of_date,
    journeys.entered_date,
    journeys.due_date,
    journeys.exit_reason,
    proposed.value_cents,
    proposed.product_count,
    proposed.facts,
    proposed.evidence
from proposed
left join {{ ref("campaign_journeys") }} as journeys
    on proposed.customer_id = journeys.customer_id and proposed.campaign_id = journeys.campaign_id
where proposed.step = coalesce(journeys.next_step, 1)
