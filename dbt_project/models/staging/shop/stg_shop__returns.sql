select
    return_id,
    customer_id,
    order_id,
    product_id,
    quantity,
    (refund_amount * 100)::bigint as refund_amount_cents,
    returned_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "returns") }}
