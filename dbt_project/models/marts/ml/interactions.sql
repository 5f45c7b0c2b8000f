{{ config(tags = ["features"]) }}

select
    customer_id,
    product_id,
    ordered_date,
    sum(bought_count)::bigint as line_count,
    sum(quantity)::bigint as quantity
from {{ ref("int_customer_products_rolled") }}
where known_date < {{ as_of_date() }}
group by customer_id, product_id, ordered_date
having sum(quantity) > 0
