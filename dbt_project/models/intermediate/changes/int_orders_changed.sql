-- One row per order and day its knowledge changed, from the day both the order and its customer were known.
{% set columns = ["order_id", "customer_id", "ordered_at", "ordered_date", "local_hour", "local_weekday"] %}

with customers as (
    {{ first_known(ref("stg_shop__customers"), "customer_id") }}
),

{% set orders = "touched_orders" if stands() else ref("stg_shop__orders") %}
{% if stands() %}
touched as (
    {{ few("order_id") }} (
        {{ touched_orders() }}
    ) as changed
),

touched_orders as (
    select *
    from {{ ref("stg_shop__orders") }}
    where order_id in (from touched)
),
{% endif %}

versions as (
    {{ versions(orders, "order_id") }}
),

known as (
    select
        versions.order_id,
        versions.customer_id,
        versions.ordered_at,
        versions.ordered_at::date as ordered_date,
        hour((versions.ordered_at at time zone 'UTC') at time zone '{{ var("shop_time_zone") }}')::tinyint
            as local_hour,
        -- 0 is Sunday.
        dayofweek((versions.ordered_at at time zone 'UTC') at time zone '{{ var("shop_time_zone") }}')::tinyint
            as local_weekday,
        greatest(versions.known_at, customers.first_known_at) as known_at,
        versions.known_until
    from versions
    inner join customers on versions.customer_id = customers.customer_id
    where
        versions.status is distinct from 'cancelled'
        and (versions.known_until is null or versions.known_until > customers.first_known_at)
),

signed as (
    {{ signed("known", columns) }}
)

{{ appended("signed", columns, "order_id", "touched") }}
