select
    event_id,
    customer_id,
    kind,
    product_id,
    session_id,
    happened_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "events") }}
