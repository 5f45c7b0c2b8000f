-- When each customer's mail goes out: an hour before they shop, as far as we know their habit; by day where they are.
{%- set noon = "(" ~ as_of_date() ~ "::timestamp + interval 12 hour)" %}

with customers as (
    select
        customers.customer_id,
        customers.time_zone,
        coalesce(features.lifecycle_stage, 'no order yet') as stage,
        -- An hour is a point of the clock face: between 23:00 and 01:00 lies midnight, and not noon.
        radians(15 * coalesce(features.usual_hour, 0)) as angle,
        -- Orders at that hour: what the habit rests on.
        coalesce(features.usual_hour_share * features.orders_lifetime_count, 0) as weight
    from {{ ref("customers") }} as customers
    left join {{ ref("customer_features") }} as features
        on customers.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
),

-- A shop without orders is taken for one whose customers shop at 11:00.
shop as (
    select
        coalesce(sum(weight * cos(angle)) / nullif(sum(weight), 0), cos(radians(15 * 11))) as x,
        coalesce(sum(weight * sin(angle)) / nullif(sum(weight), 0), sin(radians(15 * 11))) as y
    from customers
),

-- The mean of a stage of life, as if so many more of its orders were like the shop's.
stages as (
    select
        customers.stage,
        (sum(customers.weight * cos(customers.angle)) + {{ var("stage_prior_orders") }} * any_value(shop.x))
        / (sum(customers.weight) + {{ var("stage_prior_orders") }}) as x,
        (sum(customers.weight * sin(customers.angle)) + {{ var("stage_prior_orders") }} * any_value(shop.y))
        / (sum(customers.weight) + {{ var("stage_prior_orders") }}) as y
    from customers
    cross join shop
    group by customers.stage
),

-- Minutes by which clocks are ahead of UTC at noon: mail goes out by day, and clocks are changed by night.
zones as (
    select
        time_zone,
        date_diff('minute', ({{ noon }} at time zone time_zone) at time zone 'UTC', {{ noon }}) as ahead_minutes,
        date_diff(
            'minute', ({{ noon }} at time zone '{{ var("shop_time_zone") }}') at time zone 'UTC', {{ noon }}
        ) as shop_ahead_minutes
    from (select distinct time_zone from customers) as found
),

-- The customer's own mean, as if so many more orders were like their stage's; by the shop's clocks first, like orders.
habits as (
    select
        customers.customer_id,
        customers.weight,
        zones.ahead_minutes,
        degrees(atan2(
            customers.weight * sin(customers.angle) + {{ var("habit_prior_orders") }} * stages.y,
            customers.weight * cos(customers.angle) + {{ var("habit_prior_orders") }} * stages.x
        )) / 15 + (zones.ahead_minutes - zones.shop_ahead_minutes) / 60.0 as local_hour
    from customers
    inner join stages on customers.stage = stages.stage
    inner join zones on customers.time_zone = zones.time_zone
),

rounded as (
    select
        customer_id,
        weight,
        ahead_minutes,
        (round(local_hour)::integer + 48) % 24 as habit_hour
    from habits
)

select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    habit_hour,
    weight as habit_orders,
    {{ as_of_date() }}::timestamp + to_minutes((
        60 * greatest({{ var("earliest_hour") }}, least({{ var("latest_hour") }}, habit_hour - 1)) - ahead_minutes
    )::integer) as send_at
from rounded
