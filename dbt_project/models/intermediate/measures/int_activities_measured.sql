-- One row per customer and day features are asked for: browsing, returns, service, reviews, answers, coupons, mail.
{% set counted = {
    "views": ("view", [7, 30, 90]),
    "searches": ("search", [30]),
    "cart_adds": ("add_to_cart", [30]),
    "cart_removals": ("remove_from_cart", [30]),
    "checkouts": ("checkout_started", [30]),
    "returns": ("return", [90, 36500]),
    "tickets": ("%_ticket", [90]),
    "complaints": ("complaint_ticket", [90, 36500]),
    "reviews": ("review", [36500]),
    "survey_answers": ("survey_answer", [36500]),
    "coupons": ("coupon_given", [36500]),
    "coupons_used": ("coupon_used", [36500]),
    "mails": ("mail_sent", [30, 90]),
    "opens": ("mail_open", [30, 90]),
    "clicks": ("mail_click", [30, 90]),
} %}

with activities as (
    select
        *,
        (as_of_date - happened_date)::integer as age_days
    from {{ ref("int_activities_at") }}
)

select
    customer_id,
    as_of_date,
    {% for name, (kind, windows) in counted.items() %}
    {% for days in windows %}
    coalesce(sum(activity_count) filter (
        kind like '{{ kind }}'
        {%- if kind == "%_ticket" %} and kind <> 'open_ticket'{% endif %}
        {%- if days < 36500 %} and age_days <= {{ days }}{% endif %}
    ), 0)::bigint as {{ name }}_{{ "lifetime" if days == 36500 else days ~ "d" }}_count,
    {% endfor %}
    {% endfor %}
    coalesce(sum(activity_count) filter (kind = 'open_ticket'), 0)::bigint as open_tickets_count,
    coalesce(sum(value) filter (kind = 'return'), 0)::bigint as refunds_lifetime_cents,
    coalesce(sum(value) filter (kind = 'review'), 0)::bigint as stars_sum,
    coalesce(sum(value) filter (kind = 'survey_answer'), 0)::bigint as points_sum,
    min(age_days) filter (
        kind in ('view', 'search', 'add_to_cart', 'remove_from_cart', 'checkout_started')
    )::bigint as last_visit_days,
    min(age_days) filter (kind = 'complaint_ticket')::bigint as last_complaint_days,
    min(age_days) filter (kind = 'mail_click')::bigint as last_click_days
from activities
group by customer_id, as_of_date
