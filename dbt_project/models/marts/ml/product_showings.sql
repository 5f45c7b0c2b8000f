{{ config(tags = ["features"]) }}

-- A mail counts once its seven days have passed, and what came within them: on its first day most of whom it will
-- please have not read it yet, which is not the same as not clicking.
{% set answer_days = 7 %}

with newest_events as (
    select *
    from {{ ref("stg_mail__events") }}
    where known_at < {{ as_of_date() }}
    qualify row_number() over (partition by event_id order by known_at desc, source_file desc, source_row desc) = 1
),

sends as (
    select
        send_id,
        min(happened_at) as sent_at
    from newest_events
    where kind = 'sent'
    group by send_id
    having
        min(happened_at) <= {{ as_of_date() }} - {{ answer_days }}
        and min(happened_at) >= {{ as_of_date() }} - 42
),

clicks as (
    select
        sends.send_id,
        newest_events.link_id
    from newest_events
    inner join sends on newest_events.send_id = sends.send_id
    where
        newest_events.kind = 'click'
        and not newest_events.is_machine
        and newest_events.happened_at < sends.sent_at + to_days({{ answer_days }})
    group by sends.send_id, newest_events.link_id
),

mails as (
    select
        plans.send_id,
        plans.campaign_id,
        plans.customer_id,
        sends.sent_at::date as shown_date,
        from_json(plans.facts, '{"products": [{"product_id": "VARCHAR", "url": "VARCHAR"}]}').products as products
    from {{ ref("stg_published__earlier_plans") }} as plans
    inner join sends on plans.send_id = sends.send_id
),

showings as (
    select
        mails.send_id,
        mails.campaign_id,
        mails.customer_id,
        mails.shown_date,
        places.place,
        mails.products[places.place].product_id as product_id,
        -- How a mail numbers its links: the first 16 hex digits of the target's SHA-256 (`campaigns.render`).
        left(sha256(mails.products[places.place].url), 16) as link_id
    from mails
    cross join unnest(range(1, len(mails.products) + 1)) as places (place)
),

purchases as (
    select
        customer_id,
        product_id,
        ordered_date
    from {{ ref("int_customer_products_rolled") }}
    where
        known_date < {{ as_of_date() }}
        and customer_id in (select mails.customer_id from mails)
    group by customer_id, product_id, ordered_date
    having sum(bought_count) > 0
),

bought as (
    select
        showings.send_id,
        showings.product_id,
        bool_or(purchases.ordered_date < showings.shown_date) as is_before,
        bool_or(
            purchases.ordered_date >= showings.shown_date
            and purchases.ordered_date < showings.shown_date + {{ answer_days }}
        ) as is_after
    from showings
    inner join purchases
        on showings.customer_id = purchases.customer_id and showings.product_id = purchases.product_id
    group by showings.send_id, showings.product_id
)

select
    {{ as_of_date() }} as as_of_date,
    showings.shown_date,
    showings.send_id,
    showings.campaign_id,
    showings.customer_id,
    showings.product_id,
    showings.place,
    not coalesce(bought.is_before, false) as is_new,
    clicks.send_id is not null as is_clicked,
    coalesce(bought.is_after, false) as is_bought
from showings
left join clicks on showings.send_id = clicks.send_id and showings.link_id = clicks.link_id
left join bought on showings.send_id = bought.send_id and showings.product_id = bought.product_id
