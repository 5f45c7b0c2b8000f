with definitions as (
    select * from {{ ref("stg_published__campaign_definitions") }}
),

mails as (
    {{ mails_of_week() }}
),

campaign_mails as (
    {{ mails_of_week("customer_id, campaign_id") }}
),

-- What goes out by another channel than mail needs the customer's yes to that channel too.
channel_consents as (
    select
        customer_id,
        purpose as channel,
        arg_max(is_given, struct_pack(decided_at, known_at, is_withdrawal := not is_given)) as has_consent
    from {{ ref("stg_shop__consents") }}
    where purpose <> 'marketing' and known_at < {{ as_of_date() }}
    group by customer_id, purpose
),

people as (
    select
        customers.customer_id,
        coalesce(preferences.locale, customers.locale) as locale,
        customers.time_zone,
        preferences.kinds_off,
        least({{ var("mails_per_week") }}, preferences.mails_per_week) as mails_per_week,
        hours.habit_hour,
        hours.send_at,
        coalesce(mails.mail_count, 0) as mails_7d_count,
        case
            when not customers.has_consent then 'no_consent'
            when suppressions.customer_id is not null or farewells.customer_id is not null then 'suppressed'
            when preferences.paused_until > hours.send_at then 'suppressed'
            when not customers.has_address then 'not_reachable'
        end as verdict
    from {{ ref("customers") }} as customers
    inner join {{ ref("send_hours") }} as hours on customers.customer_id = hours.customer_id
    left join {{ ref("stg_published__ledger_suppressions") }} as suppressions
        on customers.customer_id = suppressions.customer_id
    left join {{ ref("stg_published__ledger_preferences") }} as preferences
        on customers.customer_id = preferences.customer_id
    left join {{ ref("campaign_farewells") }} as farewells on customers.customer_id = farewells.customer_id
    left join mails on customers.customer_id = mails.customer_id
),

-- The first reason that applies counts; quiet hours move a send, they do not stop it. Not materialized: to find the
-- winners takes none of the long columns, and the rows that carry them then pass through once, held by nothing.
judged as not materialized (
    select
        candidates.*,
        definitions.step_name,
        definitions.priority,
        definitions.holdout_share,
        definitions.template_version,
        definitions.offer_coupons,
        people.locale,
        people.time_zone,
        people.habit_hour,
        people.send_at,
        people.mails_7d_count,
        coalesce(campaign_mails.mail_count, 0) as campaign_mails_7d_count,
        {{ keyed_share("definitions.holdout_key", "candidates.customer_id") }}
        < definitions.holdout_share as is_held_out,
        candidates.product_count >= definitions.min_products as has_content,
        case
            when definitions.channel <> 'mail' and channel_consents.has_consent is not true then 'no_consent'
            when people.verdict is not null then people.verdict
            when list_contains(people.kinds_off, definitions.kind) then 'no_consent'
            when candidates.exit_reason is not null then 'exited'
            when candidates.due_date > {{ as_of_date() }} then 'too_soon'
            when is_held_out then 'held_out'
            when people.mails_7d_count >= people.mails_per_week then 'frequency_capped'
            when campaign_mails.mail_count >= definitions.mails_per_week then 'frequency_capped'
        end as early_verdict
    from {{ ref("campaign_candidates") }} as candidates
    inner join definitions on candidates.campaign_id = definitions.campaign_id and candidates.step = definitions.step
    inner join people on candidates.customer_id = people.customer_id
    left join campaign_mails
        on candidates.customer_id = campaign_mails.customer_id and candidates.campaign_id = campaign_mails.campaign_id
    left join channel_consents
        on candidates.customer_id = channel_consents.customer_id and definitions.channel = channel_consents.channel
),

-- What the coupons that are left reach for: the mails that are expected to bring most, and by lot among equals.
asking as (
    select
        judged.customer_id,
        judged.campaign_id,
        row_number() over (
            partition by judged.campaign_id
            order by
                judged.value_cents desc nulls last,
                {{ keyed_share("'" ~ var("as_of_date") ~ "'", "judged.customer_id") }},
                judged.customer_id
        ) as place,
        judged.offer_coupons - coalesce(coupons.valid_count, 0) as left_count
    from judged
    left join {{ ref("stg_published__ledger_coupons") }} as coupons on judged.campaign_id = coupons.campaign_id
    where judged.offer_coupons is not null and judged.early_verdict is null and judged.has_content
),

left_out as (
    select
        customer_id,
        campaign_id
    from asking
    where place > left_count
),

-- One mail a day for a customer: what has something to say and passed every rule before competes.
winners as (
    select
        judged.customer_id,
        arg_max(
            judged.campaign_id,
            struct_pack(
                judged.priority, value := coalesce(judged.value_cents, '-infinity'::double), judged.campaign_id
            )
        ) as campaign_id
    from judged
    left join left_out on judged.customer_id = left_out.customer_id and judged.campaign_id = left_out.campaign_id
    where judged.early_verdict is null and judged.has_content and left_out.customer_id is null
    group by judged.customer_id
),

decided as not materialized (
    select
        md5(
            judged.campaign_id || '|' || judged.step || '|' || judged.customer_id || '|{{ var("as_of_date") }}'
        ) as send_id,
        judged.campaign_id,
        judged.step,
        judged.step_name,
        judged.customer_id,
        judged.as_of_date,
        case
            when judged.early_verdict is not null then judged.early_verdict
            when left_out.customer_id is not null then 'no_coupon'
            when judged.has_content and winners.campaign_id = judged.campaign_id then 'planned'
            when winners.customer_id is not null then 'outranked'
            else 'no_content'
        end as verdict,
        case when judged.is_held_out then 'holdout' else 'treatment' end as arm,
        case when judged.is_held_out then judged.holdout_share else 1 - judged.holdout_share end as propensity,
        judged.priority,
        judged.value_cents,
        judged.entered_date,
        judged.due_date,
        judged.exit_reason,
        judged.mails_7d_count,
        judged.campaign_mails_7d_count,
        judged.locale,
        judged.time_zone,
        judged.habit_hour,
        judged.send_at,
        judged.template_version,
        judged.product_count,
        case when verdict = 'planned' then judged.facts end as facts,
        case when verdict = 'planned' then judged.evidence end as evidence
    from judged
    left join winners on judged.customer_id = winners.customer_id
    left join left_out on judged.customer_id = left_out.customer_id and judged.campaign_id = left_out.campaign_id
),

-- The categories of the products that each planned mail shows, where there is a choice of what it says.
shown as not materialized (
    select
        decided.*,
        options.has_generated,
        {% for slot in copy_slots() %}
        options.{{ slot }}_options,
        {% endfor %}
        case
            when options.campaign_id is not null
                then json_extract_string(decided.facts, '$.products[*].category')
        end as shown_categories
    from decided
    left join {{ ref("copy_options") }} as options
        on
            decided.campaign_id = options.campaign_id
            and decided.step = options.step
            and case when decided.verdict = 'planned' then least(decided.product_count, 2) end = options.product_count
),

-- How far the products that a candidate would speak of are from what the customer buys.
compared as not materialized (
    select
        shown.*,
        {% for about, products in {"all": "", "first": "[1:1]", "second": "[2:2]"}.items() %}
        case
            when shown.shown_categories is not null
                then {{ divergence(
                    "tastes.categories", "tastes.category_shares", "tastes.category_shop_shares",
                    "tastes.divergence_from_nothing", "shown.shown_categories" ~ products, var("copy_smoothing")
                ) }}
        end as divergence_{{ about }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from shown
    -- Only of mails that go: the lists of all the others would be copied too.
    left join {{ ref("copy_tastes") }} as tastes
        on case when shown.shown_categories is not null then shown.customer_id end = tastes.customer_id
),

-- noqa: disable=LT02,LT05
-- The linter measures what the loops make of these lines.

-- What each mail may say: of what was written for a language and a category only what was written for its own.
able as not materialized (
    select
        compared.* replace (
            {% for slot in copy_slots() %}
            case
                when has_generated
                    then list_filter(
                        {{ slot }}_options,
                        lambda option: option.locale is null
                        or (
                            option.locale = split_part(replace(compared.locale, '-', '_'), '_', 1)
                            and coalesce(option.category = shown_categories[1], false)
                        )
                    )
                else {{ slot }}_options
            end as {{ slot }}_options{% if not loop.last %},{% endif %}
            {% endfor %}
        ),
        {% for about in ["all", "first", "second"] %}
        case
            when shown_categories is not null
                then exp(-coalesce(divergence_{{ about }}, 0) / {{ var("copy_temperature") }})
        end as pull_{{ about }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from compared
),

weighed as not materialized (
    select
        *,
        {% for slot in copy_slots() %}
        case
            when {{ slot }}_options is not null
                then list_transform(
                    {{ slot }}_options, lambda option: option.attraction * {{ of_products("pull", "option.about") }}
                )
        end as {{ slot }}_weights{% if not loop.last %},{% endif %}
        {% endfor %}
    from able
),

drawn as not materialized (
    select
        *,
        {% for slot in copy_slots() %}
        case
            when {{ slot }}_weights is not null then {{ propensities(slot ~ "_weights", var("copy_even_share")) }}
        end as {{ slot }}_propensities,
        case when {{ slot }}_options is not null then {{ keyed_share("'" ~ slot ~ "'", "send_id") }} end as {{ slot }}_draw{% if not loop.last %},{% endif %}
        {% endfor %}
    from weighed
),

chosen as not materialized (
    select
        *,
        {% for slot in copy_slots() %}
        case
            when {{ slot }}_propensities is not null then {{ place_of(slot ~ "_draw", slot ~ "_propensities") }}
        end as {{ slot }}_place{% if not loop.last %},{% endif %}
        {% endfor %}
    from drawn
),

-- noqa: enable=LT02,LT05

worded as not materialized (
    select
        *,
        case
            when shown_categories is not null
                then list_filter([
                    {% for slot in copy_slots() %}
                    struct_pack(
                        slot := '{{ slot }}',
                        candidate_id := {{ slot }}_options[{{ slot }}_place].candidate_id,
                        origin := {{ slot }}_options[{{ slot }}_place].origin,
                        propensity := {{ slot }}_propensities[{{ slot }}_place],
                        divergence := {{ of_products("divergence", slot ~ "_options[" ~ slot ~ "_place].about") }},
                        response := {{ slot }}_options[{{ slot }}_place].response,
                        said := {{ slot }}_options[{{ slot }}_place].text
                    ){% if not loop.last %},{% endif %}
                    {% endfor %}
                ], lambda word: word.candidate_id is not null)
        end as words
    from chosen
)

select
    send_id,
    campaign_id,
    step,
    step_name,
    customer_id,
    as_of_date,
    verdict,
    arm,
    propensity,
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
    send_at,
    template_version,
    product_count,
    case
        when len(words) > 0
            then left(facts, len(facts) - 1) || ',"copy":{' || array_to_string(list_transform(
                words,
                lambda word: to_json(word.slot) || ':'
                || to_json(struct_pack(id := word.candidate_id, text := word.said))
            ), ',') || '}}'
        else facts
    end as facts,
    evidence,
    case
        when len(words) > 0
            then list_transform(words, lambda word: struct_pack(
                slot := word.slot, candidate_id := word.candidate_id, origin := word.origin,
                propensity := word.propensity, divergence := word.divergence, response := word.response
            ))
    end as copy
from worded
