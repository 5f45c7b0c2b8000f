select
    order_id,
    customer_id,
    store_id,
    status,
    ordered_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "orders") }}
