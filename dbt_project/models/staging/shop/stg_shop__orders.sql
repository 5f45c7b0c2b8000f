select
    order_id,
    customer_id,
    store_id,
    ordered_at,
    known_at,
    {{ known_until("order_id") }} as known_until,
    source_file,
    source_row
from {{ source("landing", "orders") }}
