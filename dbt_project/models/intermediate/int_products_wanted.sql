-- Products that customers looked at or put into their cart in the last 90 days and have not bought since.
with events as (
    select
        customer_id,
        product_id,
        kind,
        happened_at
    from {{ ref("stg_shop__events") }}
    where
        known_at < {{ as_of_date() }}
        and kind in ('view', 'add_to_cart', 'remove_from_cart')
        and product_id is not null
        and happened_at >= {{ as_of_date() }} - 90
    -- Of several versions of an event the newest known counts.
    qualify row_number() over (partition by event_id order by known_at desc, source_file desc, source_row desc) = 1
),

looks as (
    select
        customer_id,
        product_id,
        max(happened_at) filter (kind <> 'remove_from_cart') as last_looked_at,
        max(happened_at) filter (kind = 'add_to_cart') as last_carted_at,
        max(happened_at) filter (kind = 'remove_from_cart') as last_removed_at
    from events
    group by customer_id, product_id
),

days as (
    select
        customer_id,
        product_id,
        ordered_date
    from {{ ref("int_customer_products_rolled") }}
    where known_date < {{ as_of_date() }} and ordered_date >= {{ as_of_date() }} - 90
    group by customer_id, product_id, ordered_date
    having sum(bought_count) > 0
),

purchases as (
    select
        customer_id,
        product_id,
        max(ordered_date) as last_bought_date
    from days
    group by customer_id, product_id
)

select
    looks.customer_id,
    looks.product_id,
    looks.last_looked_at::date as last_looked_date,
    case
        when looks.last_removed_at is null or looks.last_removed_at < looks.last_carted_at
            then looks.last_carted_at::date
    end as in_cart_since_date
from looks
left join purchases on looks.customer_id = purchases.customer_id and looks.product_id = purchases.product_id
-- A purchase has a day and no hour: one of the same day came after the look.
where looks.last_looked_at is not null and coalesce(purchases.last_bought_date < looks.last_looked_at::date, true)
