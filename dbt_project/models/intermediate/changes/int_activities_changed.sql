-- One row per thing a customer did besides ordering (or had done to them) and day its knowledge changed: browsing,
-- returns, tickets, reviews, answers, texts, coupons, mail. `value` is cents, stars, points or ten-thousandths of a
-- sentiment, by kind.
{% set columns = ["source", "row_id", "customer_id", "kind", "happened_date", "value"] %}
{% set sources = [
    ("stg_shop__events", "event_id", "kind", "happened_at", "0", "true"),
    ("stg_shop__returns", "return_id", "'return'", "returned_at", "refund_amount_cents", "true"),
    ("stg_shop__support_tickets", "ticket_id", "kind || '_ticket'", "opened_at", "0", "true"),
    ("stg_shop__support_tickets", "ticket_id", "'open_ticket'", "opened_at", "0", "closed_at is null"),
    ("stg_shop__reviews", "review_id", "'review'", "reviewed_at", "rating", "true"),
    ("stg_shop__survey_answers", "answer_id", "'survey_answer'", "answered_at", "score", "true"),
    ("stg_shop__sentiments", "text_id", "'text'", "written_at", "sentiment * 10000", "true"),
    ("stg_shop__coupons", "coupon_id", "'coupon_given'", "issued_at", "0", "true"),
    ("stg_shop__coupons", "coupon_id", "'coupon_used'", "redeemed_at", "0", "redeemed_at is not null"),
    ("stg_mail__events", "event_id", "'mail_' || kind", "happened_at", "0", "not is_machine"),
] %}

with
{% if stands() %}
touched as (
    {% for model, id, kind, moment, value, counts in sources %}
    select
        '{{ model }}' as source,
        {{ id }} as row_id
    from {{ ref(model) }}
    where load_number > {{ seen() }}
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

{% for model, id, kind, moment, value, counts in sources %}
touched_{{ loop.index }} as (
    select *
    from {{ ref(model) }}
    where
        {{ id }} in (
            select touched.row_id
            from touched
            where touched.source = '{{ model }}'
        )
),
{% endfor %}
{% endif %}

known as (
    {% for model, id, kind, moment, value, counts in sources %}
    select
        '{{ model }}' as source,
        {{ id }} as row_id,
        customer_id,
        {{ kind }} as kind,
        {{ moment }}::date as happened_date,
        ({{ value }})::bigint as value,
        known_at,
        known_until
    from (
        {{ versions("touched_" ~ loop.index if stands() else ref(model), id) }}
    ) as versions
    where {{ counts }} and customer_id is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

signed as (
    {{ signed("known", columns) }}
)

{{ appended("signed", columns, "source, row_id", "touched") }}
