-- Customers who read none of their mails any more, and do not order either. A reader, even of an old mail, drops out.
{% set rule = "at least 6 mails in 90 days, none of them opened or clicked, and no order" %}

with reads as (
    select
        customer_id,
        max(happened_date) as last_opened_date
    from {{ ref("int_customer_activities_rolled") }}
    where kind in ('mail_open', 'mail_click') and known_date < {{ as_of_date() }}
    group by customer_id
    having sum(activity_count) > 0
)

select
    features.customer_id,
    steps.step,
    null::double as value_cents,
    0::bigint as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        last_opened_date := reads.last_opened_date
    ))::varchar as facts,
    {{ evidence(rule, {
        "mails_90d_count": "features.mails_90d_count",
        "opens_90d_count": "features.opens_90d_count",
        "clicks_90d_count": "features.clicks_90d_count",
        "recency_days": "features.recency_days",
    }) }} as evidence
from {{ ref("customer_features") }} as features
cross join {{ steps_of("sunset") }} as steps
left join reads on features.customer_id = reads.customer_id
inner join {{ ref("customers") }} as customers on features.customer_id = customers.customer_id
where
    features.as_of_date = {{ as_of_date() }}
    and features.mails_90d_count >= 6
    and features.opens_90d_count = 0
    and features.clicks_90d_count = 0
    and features.recency_days > 90
