-- Where customers stand in the campaigns they are in: what the ledger says was sent, and what has happened since.
with campaigns as (
    select
        campaign_id,
        any_value(priority) as priority,
        any_value(exit_when) as exit_when,
        any_value(reentry_after_days) as reentry_after_days,
        max(step) as step_count
    from {{ ref("stg_published__campaign_definitions") }}
    group by campaign_id
),

sends as (
    select
        sends.customer_id,
        sends.campaign_id,
        sends.step,
        sends.as_of_date,
        campaigns.priority,
        campaigns.reentry_after_days
    from {{ ref("stg_published__ledger_sends") }} as sends
    inner join campaigns on sends.campaign_id = campaigns.campaign_id
    where sends.as_of_date > {{ as_of_date() }} - (select max(longest.reentry_after_days) from campaigns as longest)
),

entries as (
    select
        customer_id,
        campaign_id,
        any_value(priority) as priority,
        max(as_of_date) as entered_date
    from sends
    where step = 1 and as_of_date > {{ as_of_date() }} - reentry_after_days
    group by customer_id, campaign_id
),

-- A mail of another flow that is stronger, after the day of entering.
stronger as (
    select distinct
        entries.customer_id,
        entries.campaign_id
    from entries
    inner join sends
        on
            entries.customer_id = sends.customer_id
            and entries.priority < sends.priority
            and entries.entered_date < sends.as_of_date
),

withdrawals as (
    select
        customer_id,
        max(decided_at)::date as last_withdrawn_date
    from {{ ref("stg_shop__consents") }}
    where purpose = 'marketing' and not is_given and known_at < {{ as_of_date() }}
    group by customer_id
),

so_far as (
    select
        entries.customer_id,
        entries.campaign_id,
        entries.entered_date,
        max(sends.step) as last_step,
        max(sends.as_of_date) as last_send_date
    from entries
    inner join sends
        on
            entries.customer_id = sends.customer_id
            and entries.campaign_id = sends.campaign_id
            and entries.entered_date <= sends.as_of_date
    group by entries.customer_id, entries.campaign_id, entries.entered_date
),

left_flow as (
    select
        so_far.*,
        campaigns.step_count,
        campaigns.reentry_after_days,
        case
            when
                list_contains(campaigns.exit_when, 'bought')
                and features.recency_days <= {{ as_of_date() }} - so_far.entered_date
                then 'bought'
            when
                list_contains(campaigns.exit_when, 'unsubscribed')
                and withdrawals.last_withdrawn_date >= so_far.entered_date
                then 'unsubscribed'
            when
                list_contains(campaigns.exit_when, 'entered_stronger_flow') and stronger.customer_id is not null
                then 'entered_stronger_flow'
        end as exit_reason
    from so_far
    inner join campaigns on so_far.campaign_id = campaigns.campaign_id
    left join {{ ref("customer_features") }} as features
        on so_far.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
    left join withdrawals on so_far.customer_id = withdrawals.customer_id
    left join stronger
        on so_far.customer_id = stronger.customer_id and so_far.campaign_id = stronger.campaign_id
)

select
    left_flow.customer_id,
    left_flow.campaign_id,
    {{ as_of_date() }} as as_of_date,
    left_flow.entered_date,
    left_flow.last_step,
    left_flow.last_send_date,
    left_flow.exit_reason,
    -- After the last step comes the first, once the customer may enter again.
    coalesce(next_steps.step, 1) as next_step,
    case
        when left_flow.exit_reason is null and next_steps.step is not null
            then left_flow.last_send_date + next_steps.wait_days
        else left_flow.entered_date + left_flow.reentry_after_days
    end as due_date
from left_flow
left join {{ ref("stg_published__campaign_definitions") }} as next_steps
    on left_flow.campaign_id = next_steps.campaign_id and left_flow.last_step + 1 = next_steps.step
