-- One row per customer and day features are asked for: browsing, returns, service, reviews, answers, texts, coupons,
-- mail.
{% set rollup = ref("int_customer_activities_rolled") %}
{% set windows = [7, 30, 90] %}
{% set counted = {
    "views": ("= 'view'", ["7d", "30d", "90d"]),
    "searches": ("= 'search'", ["30d"]),
    "cart_adds": ("= 'add_to_cart'", ["30d"]),
    "cart_removals": ("= 'remove_from_cart'", ["30d"]),
    "checkouts": ("= 'checkout_started'", ["30d"]),
    "returns": ("= 'return'", ["90d", "lifetime"]),
    "tickets": ("in ('question_ticket', 'complaint_ticket', 'other_ticket')", ["90d"]),
    "complaints": ("= 'complaint_ticket'", ["90d", "lifetime"]),
    "open_tickets": ("= 'open_ticket'", ["lifetime"]),
    "reviews": ("= 'review'", ["lifetime"]),
    "survey_answers": ("= 'survey_answer'", ["lifetime"]),
    "texts": ("= 'text'", ["lifetime"]),
    "coupons": ("= 'coupon_given'", ["lifetime"]),
    "coupons_used": ("= 'coupon_used'", ["lifetime"]),
    "mails": ("= 'mail_sent'", ["30d", "90d"]),
    "opens": ("= 'mail_open'", ["30d", "90d"]),
    "clicks": ("= 'mail_click'", ["30d", "90d"]),
} %}

with {{ with_due([(rollup, "happened_date", windows)]) }}

-- First by kind: comparing every day's kind with every name below would take twice the time.
kinds as (
    select
        customer_id,
        as_of_date,
        kind,
        {% for days in windows %}
        sum(activity_count) filter (as_of_date - happened_date <= {{ days }}) as "{{ days }}d_count",
        {% endfor %}
        sum(activity_count) as lifetime_count,
        sum(value) as value,
        max(happened_date) as last_date
    from {{ days_known(rollup, ["kind", "happened_date"], "activity_count", ["value"]) }} as known_days
    group by customer_id, as_of_date, kind
),

measured as (
    select
        customer_id,
        as_of_date,
        {% for name, (kind, windows) in counted.items() %}
        {% for window in windows %}
        coalesce(sum("{{ window }}_count") filter (kind {{ kind }}), 0)::bigint as {{ name }}_{{ window }}_count,
        {% endfor %}
        {% endfor %}
        coalesce(sum(value) filter (kind = 'return'), 0)::bigint as refunds_lifetime_cents,
        coalesce(sum(value) filter (kind = 'review'), 0)::bigint as stars_sum,
        coalesce(sum(value) filter (kind = 'survey_answer'), 0)::bigint as points_sum,
        coalesce(sum(value) filter (kind = 'text'), 0)::bigint as sentiments_sum,
        max(last_date) filter (
            kind in ('view', 'search', 'add_to_cart', 'remove_from_cart', 'checkout_started')
        ) as last_visit_date,
        max(last_date) filter (kind = 'complaint_ticket') as last_complaint_date,
        max(last_date) filter (kind = 'mail_click') as last_click_date
    from kinds
    group by customer_id, as_of_date
)

{{ whoever_is_due("measured") }}
