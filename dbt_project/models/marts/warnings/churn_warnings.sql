-- The life of every warning as far as it is known by the day: raised, treated or deliberately not, bought or lapsed.
with raised as (
    select *
    from {{ ref("warnings_raised") }}
    where raised_date <= {{ as_of_date() }}
),

orders as (
    {{ ordered_days() }}
),

bought as (
    select
        raised.warning_id,
        min(orders.ordered_date) as bought_date,
        sum(orders.net_amount_cents)::bigint as spent_cents
    from raised
    inner join orders
        on
            raised.customer_id = orders.customer_id
            and raised.raised_date <= orders.ordered_date
            and raised.closes_date > orders.ordered_date
    group by raised.warning_id
),

-- The first mail, or the first decision to hold one back for comparison; else the last of other reasons not to write.
-- The arm is what the draw said, from the first day on which the customer could have had a mail: whatever kept the mail
-- away after the draw, a person at approval among it, happens in one arm only and must not choose who is compared.
treated as (
    select
        raised.warning_id,
        arg_min(struct_pack(
            verdict := treatments.verdict,
            campaign_id := treatments.campaign_id,
            step := treatments.step,
            as_of_date := treatments.as_of_date
        ), struct_pack(
            later := treatments.verdict not in ('planned', 'held_out'),
            days := case
                when treatments.verdict in ('planned', 'held_out') then treatments.as_of_date - raised.raised_date
                else raised.raised_date - treatments.as_of_date
            end,
            send_id := treatments.send_id
        )) as first_one,
        arg_min(
            case when treatments.verdict = 'held_out' then 'holdout' else 'treatment' end,
            struct_pack(treatments.as_of_date, treatments.send_id)
        ) filter (treatments.verdict not in ('no_consent', 'suppressed', 'not_reachable')) as arm,
        bool_or(sends.send_id is not null) as is_mailed
    from raised
    inner join {{ ref("warning_treatments") }} as treatments
        on
            raised.customer_id = treatments.customer_id
            and treatments.as_of_date between raised.raised_date and least(raised.closes_date - 1, {{ as_of_date() }})
    left join {{ ref("stg_published__ledger_sends") }} as sends on treatments.send_id = sends.send_id
    left join bought on raised.warning_id = bought.warning_id
    where bought.bought_date is null or treatments.as_of_date <= bought.bought_date
    group by raised.warning_id
)

select
    raised.warning_id,
    raised.customer_id,
    raised.raised_date,
    raised.closes_date,
    raised.churn_band,
    raised.churn_probability,
    raised.value_at_stake_cents,
    treated.first_one.verdict as treatment,
    treated.first_one.campaign_id as treatment_campaign_id,
    treated.first_one.step as treatment_step,
    treated.first_one.as_of_date as treated_date,
    treated.arm,
    coalesce(treated.is_mailed, false) as is_mailed,
    case
        when bought.bought_date is not null then 'bought'
        when raised.closes_date <= {{ as_of_date() }} then 'lapsed'
    end as outcome,
    coalesce(
        bought.bought_date, case when raised.closes_date <= {{ as_of_date() }} then raised.closes_date end
    ) as outcome_date,
    coalesce(bought.spent_cents, 0) as spent_cents,
    raised.model_name,
    raised.model_version,
    raised.run_id
from raised
left join bought on raised.warning_id = bought.warning_id
left join treated on raised.warning_id = treated.warning_id
