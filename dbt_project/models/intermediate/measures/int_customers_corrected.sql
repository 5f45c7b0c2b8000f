-- One row per customer of whom something that was counted has been taken back, or a line came without its order.
select distinct customer_id
from {{ ref("int_customer_days_rolled") }}
where order_count <= 0
