-- Warnings counted, by band and by what was done: those that are open, and, judged, those whose horizon closed in the
-- last 90 days. One whose customer has bought is judged when it closes too: else the quick ones would count double.
{% set horizon = var("churn_horizon_days") %}

with recent as (
    select
        churn_band,
        coalesce(treatment_campaign_id || ' ' || treatment_step, 'none') as ladder_step,
        case arm when 'treatment' then 'assigned' when 'holdout' then 'held_out' else 'untreated' end as treatment,
        is_mailed,
        outcome,
        spent_cents,
        value_at_stake_cents,
        closes_date <= {{ as_of_date() }} as is_closed
    from {{ ref("churn_warnings") }}
    where closes_date > {{ as_of_date() }} - 90
),

grouped as (
    select
        case when grouping(churn_band) = 1 then 'any' else churn_band end as churn_band,
        case when grouping(ladder_step) = 1 then 'any' else ladder_step end as ladder_step,
        case when grouping(treatment) = 1 then 'any' else treatment end as treatment,
        count(*) filter (outcome is null) as open_count,
        coalesce(sum(value_at_stake_cents) filter (outcome is null), 0)::bigint as open_value_cents,
        count(*) filter (is_closed) as closed_count,
        count(*) filter (is_closed and is_mailed) as mailed_count,
        count(*) filter (is_closed and outcome = 'bought') as bought_count,
        count(*) filter (is_closed and outcome = 'lapsed') as lapsed_count,
        count(*) filter (is_closed and outcome = 'lapsed') / nullif(count(*) filter (is_closed), 0) as lapsed_share,
        avg(spent_cents) filter (is_closed) as spent_mean_cents,
        var_samp(spent_cents) filter (is_closed) as spent_variance
    from recent
    group by grouping sets (
        (), (churn_band), (treatment), (churn_band, treatment), (ladder_step, treatment), (ladder_step)
    )
),

-- The cut-off whose horizon closes on the day: who lapsed from it, and of whom we warned.
orders as (
    {{ ordered_days() }}
),

cohort as (
    select
        customer_id,
        max(ordered_date) < {{ as_of_date() }} - {{ horizon }} as has_lapsed
    from orders
    where ordered_date < {{ as_of_date() }}
    group by customer_id
    having min(ordered_date) < {{ as_of_date() }} - {{ horizon }}
),

warned as (
    select
        customer_id,
        churn_band
    from {{ ref("churn_warnings") }}
    where
        raised_date <= {{ as_of_date() }} - {{ horizon }}
        and {{ as_of_date() }} - {{ horizon }} < closes_date
        -- Still open on the cut-off: no order between.
        and (outcome is null or outcome = 'lapsed' or outcome_date >= {{ as_of_date() }} - {{ horizon }})
),

caught as (
    select
        case when grouping(warned.churn_band) = 1 then 'any' else warned.churn_band end as churn_band,
        count(*) as warned_count,
        count(*) filter (cohort.has_lapsed) as caught_count
    from warned
    inner join cohort on warned.customer_id = cohort.customer_id
    group by rollup (warned.churn_band)
),

lapsed as (
    select count(*) filter (has_lapsed) as lapsed_count
    from cohort
)

select
    {{ as_of_date() }} as as_of_date,
    grouped.churn_band,
    grouped.ladder_step,
    grouped.treatment,
    grouped.open_count,
    grouped.open_value_cents,
    grouped.closed_count,
    grouped.mailed_count,
    grouped.bought_count,
    grouped.lapsed_count,
    grouped.lapsed_share,
    grouped.spent_mean_cents,
    -- By intention to treat: all whom the draw gave to mail against all whom it held out, of the same band. Leaving
    -- out whose mail was rejected would compare those whom a person chose with those whom chance did.
    held_out.closed_count as held_out_count,
    case
        when grouped.treatment = 'assigned' then grouped.mailed_count / nullif(grouped.closed_count, 0)
    end as mailed_share,
    held_out.lapsed_share - grouped.lapsed_share as kept_share,
    grouped.closed_count * (grouped.spent_mean_cents - held_out.spent_mean_cents) as value_kept_cents,
    -- Half the width of its 95 % interval: two means, each with its own variance.
    1.959964 * grouped.closed_count * sqrt(
        grouped.spent_variance / grouped.closed_count + held_out.spent_variance / held_out.closed_count
    ) as value_kept_margin_cents,
    -- Per customer who was mailed: as nobody else was moved, all of it is theirs. Source: Bloom, "Accounting for
    -- No-Shows in Experimental Evaluation Designs", Evaluation Review 8(2), 1984; it is Wald's estimator.
    kept_share * grouped.closed_count / nullif(grouped.mailed_count, 0) as kept_mailed_share,
    value_kept_cents / nullif(grouped.mailed_count, 0) as value_kept_mailed_cents,
    value_kept_margin_cents / nullif(grouped.mailed_count, 0) as value_kept_mailed_margin_cents,
    caught.warned_count as cutoff_warned_count,
    case when caught.warned_count is not null then lapsed.lapsed_count end as cutoff_lapsed_count,
    caught.caught_count / nullif(caught.warned_count, 0) as precision,
    -- Where nobody had been warned of yet, nothing was missed.
    case when caught.warned_count > 0 then caught.caught_count / nullif(lapsed.lapsed_count, 0) end as recall,
    case
        when caught.warned_count > 0 then 2 * caught.caught_count / (caught.warned_count + lapsed.lapsed_count)
    end as f1
from grouped
cross join lapsed
left join grouped as held_out
    on
        grouped.churn_band = held_out.churn_band
        and grouped.ladder_step = held_out.ladder_step
        and grouped.treatment = 'assigned'
        and held_out.treatment = 'held_out'
        -- Steps have no arms: who is held out stands before the first one for ever.
        and grouped.ladder_step = 'any'
left join caught
    on grouped.churn_band = caught.churn_band and grouped.treatment = 'any' and grouped.ladder_step = 'any'
