select
    coupon_id,
    customer_id,
    issued_at,
    valid_until,
    redeemed_at,
    order_id,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "coupons") }}
