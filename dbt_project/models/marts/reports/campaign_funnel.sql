{% set verdicts = [
    "no_consent", "suppressed", "not_reachable", "exited", "too_soon", "held_out", "frequency_capped", "no_coupon",
    "outranked", "no_content", "planned",
] %}

with reactions as (
    select
        send_id,
        bool_or(kind = 'open') as is_opened,
        bool_or(kind = 'click') as is_clicked,
        bool_or(kind = 'unsubscribe') as is_unsubscribed
    from {{ ref("mail_events") }}
    where not is_machine
    group by send_id
)

select
    plan.campaign_id,
    plan.as_of_date,
    count(*) as candidates,
    {% for verdict in verdicts %}
    count(*) filter (plan.verdict = '{{ verdict }}') as {{ verdict }},
    {% endfor %}
    count(*) filter (outcomes.state = 'sent') as sent,
    count(*) filter (outcomes.state = 'refused') as refused,
    count(*) filter (outcomes.state = 'deferred') as deferred,
    count(*) filter (outcomes.state = 'uncertain') as uncertain,
    count(*) filter (outcomes.state = 'suppressed') as suppressed_late,
    count(*) filter (outcomes.state = 'expired') as expired,
    count(*) filter (outcomes.state = 'rejected') as rejected,
    -- A click proves that the mail was seen, whether or not its pixel was fetched.
    count(*) filter (reactions.is_opened or reactions.is_clicked) as opened,
    count(*) filter (reactions.is_clicked) as clicked,
    count(*) filter (reactions.is_unsubscribed) as unsubscribed
from {{ ref("stg_published__campaign_plan") }} as plan
left join {{ ref("stg_published__send_outcomes") }} as outcomes on plan.send_id = outcomes.send_id
left join reactions on plan.send_id = reactions.send_id
group by plan.campaign_id, plan.as_of_date
