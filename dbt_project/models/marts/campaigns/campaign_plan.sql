with campaigns as (
    select * from {{ ref("stg_published__campaign_definitions") }}
),

recent_sends as (
    select
        customer_id,
        count(*) as send_count
    from {{ ref("stg_published__ledger_sends") }}
    where as_of_date >= {{ as_of_date() }} - 6
    group by customer_id
),

judged as (
    select
        candidates.*,
        campaigns.priority,
        campaigns.template_version,
        campaigns.holdout_share,
        customers.locale,
        customers.time_zone,
        {{ keyed_share("campaigns.holdout_key", "candidates.customer_id") }} < campaigns.holdout_share as is_held_out,
        candidates.product_count >= campaigns.min_products as has_content,
        features.usual_hour,
        -- The first reason that applies counts; quiet hours move a send, they do not stop it.
        case
            when not customers.has_consent then 'no_consent'
            when suppressions.customer_id is not null then 'suppressed'
            when not customers.has_address then 'not_reachable'
            when
                {{ keyed_share("campaigns.holdout_key", "candidates.customer_id") }} < campaigns.holdout_share
                then 'held_out'
            when coalesce(recent_sends.send_count, 0) >= {{ var("mails_per_week") }} then 'frequency_capped'
        end as early_verdict
    from {{ ref("campaign_candidates") }} as candidates
    inner join campaigns on candidates.campaign_id = campaigns.campaign_id and candidates.step = campaigns.step
    inner join {{ ref("customers") }} as customers on candidates.customer_id = customers.customer_id
    inner join {{ ref("customer_features") }} as features
        on candidates.customer_id = features.customer_id and candidates.as_of_date = features.as_of_date
    left join {{ ref("stg_published__ledger_suppressions") }} as suppressions
        on candidates.customer_id = suppressions.customer_id
    left join recent_sends on candidates.customer_id = recent_sends.customer_id
),

-- One mail a day for a customer: what has something to say and passed every rule before competes.
ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, early_verdict is null and has_content
            order by priority desc, rank_score desc, campaign_id
        ) as place,
        max((early_verdict is null and has_content)::integer) over (partition by customer_id) = 1 as has_winner
    from judged
)

select
    md5(campaign_id || '|' || step || '|' || customer_id || '|' || as_of_date) as send_id,
    campaign_id,
    step,
    customer_id,
    as_of_date,
    case
        when early_verdict is not null then early_verdict
        when has_content and place = 1 then 'planned'
        when has_winner then 'outranked'
        else 'no_content'
    end as verdict,
    case when is_held_out then 'holdout' else 'treatment' end as arm,
    case when is_held_out then holdout_share else 1 - holdout_share end as propensity,
    priority,
    locale,
    time_zone,
    -- An hour before the customer usually shops, kept within 08:00 to 17:00 of their own day.
    (
        (as_of_date::timestamp + to_hours(greatest(8, least(17, coalesce(usual_hour, 10) - 1))::integer))
        at time zone time_zone
    ) at time zone 'UTC' as send_at,
    template_version,
    facts,
    evidence
from ranked
