select
    product_id,
    quantity,
    counted_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "stock_levels") }}
