-- One row per customer and product bought on at least two days: how often, how regularly, and how long ago.
with days as (
    select
        customer_id,
        product_id,
        ordered_date
    from {{ ref("int_customer_products_rolled") }}
    where known_date < {{ as_of_date() }}
    group by customer_id, product_id, ordered_date
    having sum(bought_count) > 0
)

select
    customer_id,
    product_id,
    count(*) as times_bought,
    -- The mean of the gaps between neighbouring days is the whole span over their number.
    (max(ordered_date) - min(ordered_date)) / (count(*) - 1) as usual_gap_days,
    ({{ as_of_date() }} - max(ordered_date))::bigint as days_since
from days
group by customer_id, product_id
having count(*) >= 2
