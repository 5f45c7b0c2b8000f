-- One row per customer, day with orders and day features are asked for, nearly: a day whose orders became known on
-- several days keeps a row for each, because sums and smallest and largest days are the same. Only customers with a
-- correction are added up, so that an order that was moved or cancelled leaves no day behind.
{{ config(materialized = "ephemeral") }}

select days.* exclude (known_date, load_number) -- noqa: RF02
from {{ known_before_feature_days(ref("int_customer_days_rolled")) }} as days
left join {{ ref("int_customers_corrected") }} as corrected on days.customer_id = corrected.customer_id
where corrected.customer_id is null
union all by name
select
    days.customer_id,
    days.as_of_date,
    days.ordered_date,
    sum(days.order_count)::bigint as order_count,
    sum(days.line_count)::bigint as line_count,
    sum(days.discounted_line_count)::bigint as discounted_line_count,
    sum(days.quantity)::bigint as quantity,
    sum(days.list_amount_cents)::bigint as list_amount_cents,
    sum(days.discount_amount_cents)::bigint as discount_amount_cents,
    sum(days.net_amount_cents)::bigint as net_amount_cents
from {{ known_before_feature_days(ref("int_customer_days_rolled")) }} as days
inner join {{ ref("int_customers_corrected") }} as corrected on days.customer_id = corrected.customer_id
group by days.customer_id, days.as_of_date, days.ordered_date
having sum(days.order_count) <> 0
