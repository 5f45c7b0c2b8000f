select
    order_id,
    line_number,
    product_id,
    quantity,
    (list_amount * 100)::bigint as list_amount_cents,
    (discount_amount * 100)::bigint as discount_amount_cents,
    -- A voucher can be worth more than its line; the shop gives no money back for it.
    greatest((list_amount - discount_amount) * 100, 0)::bigint as net_amount_cents,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "order_lines") }}
