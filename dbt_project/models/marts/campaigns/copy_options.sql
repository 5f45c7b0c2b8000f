-- What each slot of a mail may say today, and how likely a mail that says it was to be clicked.
{% set option %}
struct_pack(
    candidate_id, origin, about, locale, category, text, response := click_share,
    attraction := click_share ^ (1 / {{ var("copy_temperature") }})
)
{%- endset %}

with clicks as (
    select distinct send_id
    from {{ ref("stg_mail__events") }}
    where kind = 'click' and not is_machine and known_at < {{ as_of_date() }}
),

-- Of mails that reached somebody.
said as (
    select
        earlier.send_id,
        earlier.campaign_id,
        earlier.step,
        unnest(earlier.copy) as words
    from {{ ref("stg_published__earlier_copy") }} as earlier
    inner join {{ ref("stg_published__ledger_sends") }} as sends on earlier.send_id = sends.send_id
),

counts as (
    select
        said.campaign_id,
        said.step,
        said.words.slot,
        said.words.candidate_id,
        count(*) as send_count,
        count(clicks.send_id) as click_count
    from said
    left join clicks on said.send_id = clicks.send_id
    group by all
),

-- Before a mail has been sent it is taken for one in fifty.
mails as (
    select
        campaign_id,
        step,
        slot,
        (sum(click_count) + 1) / (sum(send_count) + 50) as response
    from counts
    group by campaign_id, step, slot
),

-- The mean of a Beta distribution: what was seen, drawn towards the mail's own mean as if that many more had been sent.
options as (
    select
        candidates.*,
        (coalesce(counts.click_count, 0) + {{ var("copy_prior_sends") }} * coalesce(mails.response, 0.02))
        / (coalesce(counts.send_count, 0) + {{ var("copy_prior_sends") }}) as click_share
    from {{ ref("stg_published__copy_candidates") }} as candidates
    left join counts
        on
            candidates.campaign_id = counts.campaign_id
            and candidates.step = counts.step
            and candidates.slot = counts.slot
            and candidates.candidate_id = counts.candidate_id
    left join mails
        on
            candidates.campaign_id = mails.campaign_id
            and candidates.step = mails.step
            and candidates.slot = mails.slot
    where candidates.rejected is null
),

shown as (
    select unnest([0, 1, 2]) as product_count
)

select
    options.campaign_id,
    options.step,
    shown.product_count::bigint as product_count,
    {{ as_of_date() }} as as_of_date,
    bool_or(options.origin = 'generated') as has_generated,
    -- noqa: disable=LT02,LT05
    {% for slot in copy_slots() %}
    list({{ option }} order by options.place, options.candidate_id, options.locale, options.category) filter (options.slot = '{{ slot }}') as {{ slot }}_options{% if not loop.last %},{% endif %}
    {% endfor %}
    -- noqa: enable=LT02,LT05
from options
cross join shown
where options.least_products <= shown.product_count
group by options.campaign_id, options.step, shown.product_count
