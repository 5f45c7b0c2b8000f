-- What the plan of the day gains at a moment of it: one row per customer whom a campaign that answers within the day
-- proposes now, and whom its plan has not judged for that campaign yet. Verdicts are those of campaign_plan.
with definitions as (
    select * from {{ ref("stg_published__campaign_definitions") }}
    where step = 1 and channel = 'mail'
),

candidates as (
    {% for campaign_id in var("campaigns_of_today") %}
    select
        '{{ campaign_id }}' as campaign_id,
        *
    from {{ ref("today_" ~ campaign_id) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- The plan as it is published: this morning's, and what it has gained since.
judged_before as (
    select distinct
        customer_id,
        campaign_id
    from {{ ref("stg_published__campaign_plan") }}
),

has_mail as (
    select distinct customer_id
    from {{ ref("stg_published__campaign_plan") }}
    where verdict = 'planned'
),

mails as (
    {{ mails_of_week() }}
),

campaign_mails as (
    {{ mails_of_week("customer_id, campaign_id") }}
),

judged as (
    select
        candidates.*,
        definitions.step_name,
        definitions.priority,
        definitions.holdout_share,
        definitions.template_version,
        coalesce(preferences.locale, customers.locale) as locale,
        customers.time_zone,
        hours.habit_hour,
        journeys.entered_date,
        journeys.due_date,
        journeys.exit_reason,
        coalesce(mails.mail_count, 0) as mails_7d_count,
        coalesce(campaign_mails.mail_count, 0) as campaign_mails_7d_count,
        {{ keyed_share("definitions.holdout_key", "candidates.customer_id") }}
        < definitions.holdout_share as is_held_out,
        case
            when not customers.has_consent then 'no_consent'
            when list_contains(preferences.kinds_off, definitions.kind) then 'no_consent'
            when preferences.paused_until > {{ moment() }} then 'suppressed'
            when suppressions.customer_id is not null or farewells.customer_id is not null then 'suppressed'
            when not customers.has_address then 'not_reachable'
            when journeys.exit_reason is not null then 'exited'
            when journeys.due_date > {{ as_of_date() }} then 'too_soon'
            when is_held_out then 'held_out'
            when mails_7d_count >= least({{ var("mails_per_week") }}, preferences.mails_per_week)
                then 'frequency_capped'
            when campaign_mails.mail_count >= definitions.mails_per_week then 'frequency_capped'
            when has_mail.customer_id is not null then 'outranked'
            when candidates.product_count < definitions.min_products then 'no_content'
            else 'planned'
        end as verdict
    from candidates
    inner join definitions on candidates.campaign_id = definitions.campaign_id
    inner join {{ ref("customers") }} as customers on candidates.customer_id = customers.customer_id
    left join {{ ref("send_hours") }} as hours on candidates.customer_id = hours.customer_id
    left join judged_before
        on candidates.customer_id = judged_before.customer_id and candidates.campaign_id = judged_before.campaign_id
    left join has_mail on candidates.customer_id = has_mail.customer_id
    left join {{ ref("campaign_journeys") }} as journeys
        on candidates.customer_id = journeys.customer_id and candidates.campaign_id = journeys.campaign_id
    left join {{ ref("stg_published__ledger_preferences") }} as preferences
        on candidates.customer_id = preferences.customer_id
    left join {{ ref("stg_published__ledger_suppressions") }} as suppressions
        on candidates.customer_id = suppressions.customer_id
    left join {{ ref("campaign_farewells") }} as farewells on candidates.customer_id = farewells.customer_id
    left join mails on candidates.customer_id = mails.customer_id
    left join campaign_mails
        on candidates.customer_id = campaign_mails.customer_id and candidates.campaign_id = campaign_mails.campaign_id
    where
        judged_before.customer_id is null
        -- Whoever stands before a later step waits for the plan of a day, and so does whoever sleeps.
        and coalesce(journeys.next_step, 1) = 1
        and hour(({{ moment() }} at time zone 'UTC') at time zone customers.time_zone)
        between {{ var("earliest_hour") }} and {{ var("latest_hour") }}
)

select
    md5(campaign_id || '|' || step || '|' || customer_id || '|{{ var("as_of_date") }}') as send_id,
    campaign_id,
    step,
    step_name,
    customer_id,
    {{ as_of_date() }} as as_of_date,
    verdict,
    case when is_held_out then 'holdout' else 'treatment' end as arm,
    case when is_held_out then holdout_share else 1 - holdout_share end as propensity,
    priority,
    value_cents,
    entered_date,
    due_date,
    exit_reason,
    mails_7d_count,
    campaign_mails_7d_count,
    locale,
    time_zone,
    habit_hour,
    {{ moment() }} as send_at,
    template_version,
    product_count,
    case when verdict = 'planned' then facts end as facts,
    case when verdict = 'planned' then evidence end as evidence
from judged
