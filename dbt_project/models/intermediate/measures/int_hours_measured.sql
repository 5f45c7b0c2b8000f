-- One row per customer and day features are asked for: when they order, by the shop's clock.
{# Whatever changes their purchases changes a row of their days. #}
with {{ with_due([(ref("int_customer_days_rolled"), "ordered_date", [])]) }}

slots as (
    select
        customer_id,
        as_of_date,
        local_hour,
        local_weekday,
        sum(order_count)::bigint as order_count
    from {{ known_before_feature_days(ref("int_customer_hours_rolled")) }} as known_slots
    group by customer_id, as_of_date, local_hour, local_weekday
),

hours as (
    select
        customer_id,
        as_of_date,
        local_hour,
        sum(order_count)::bigint as order_count,
        coalesce(sum(order_count) filter (local_weekday in (0, 6)), 0)::bigint as weekend_count
    from slots
    group by customer_id, as_of_date, local_hour
),

weekdays as (
    select
        customer_id,
        as_of_date,
        local_weekday,
        sum(order_count)::bigint as order_count
    from slots
    group by customer_id, as_of_date, local_weekday
),

usual_weekdays as (
    select
        customer_id,
        as_of_date,
        arg_min(local_weekday, struct_pack(fewer := -order_count, local_weekday)) as usual_weekday
    from weekdays
    where order_count > 0
    group by customer_id, as_of_date
),

measured as (
    select
        hours.customer_id,
        hours.as_of_date,
        sum(hours.weekend_count)::bigint as weekend_count,
        coalesce(sum(hours.order_count) filter (hours.local_hour < 12), 0)::bigint as morning_count,
        coalesce(sum(hours.order_count) filter (hours.local_hour >= 18), 0)::bigint as evening_count,
        arg_min(hours.local_hour, struct_pack(fewer := -hours.order_count, hours.local_hour))::bigint as usual_hour,
        max(hours.order_count) as usual_hour_count,
        any_value(usual_weekdays.usual_weekday)::bigint as usual_weekday
    from hours
    inner join usual_weekdays
        on hours.customer_id = usual_weekdays.customer_id and hours.as_of_date = usual_weekdays.as_of_date
    where hours.order_count > 0
    group by hours.customer_id, hours.as_of_date
)

{{ whoever_is_due("measured") }}
