-- To whom a last mail has said goodbye, and who has not ordered, clicked or agreed anew since: a mail's word is kept.
with last_steps as (
    select
        campaign_id,
        max(step) as step
    from {{ ref("stg_published__campaign_definitions") }}
    where ends_mail
    group by campaign_id
),

farewells as (
    select
        sends.customer_id,
        max(sends.as_of_date) as said_date
    from {{ ref("stg_published__ledger_sends") }} as sends
    inner join last_steps on sends.campaign_id = last_steps.campaign_id and sends.step = last_steps.step
    group by sends.customer_id
),

agreements as (
    select
        customer_id,
        max(decided_at)::date as last_agreed_date
    from {{ ref("stg_shop__consents") }}
    where purpose = 'marketing' and is_given and known_at < {{ as_of_date() }}
    group by customer_id
)

select
    farewells.customer_id,
    {{ as_of_date() }} as as_of_date,
    farewells.said_date
from farewells
left join {{ ref("customer_features") }} as features
    on farewells.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
left join agreements on farewells.customer_id = agreements.customer_id
where
    coalesce(features.recency_days > {{ as_of_date() }} - farewells.said_date, true)
    and coalesce(features.last_click_days > {{ as_of_date() }} - farewells.said_date, true)
    and coalesce(agreements.last_agreed_date < farewells.said_date, true)
