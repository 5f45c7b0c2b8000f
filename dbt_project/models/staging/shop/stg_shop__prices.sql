select
    product_id,
    (price_amount * 100)::bigint as price_cents,
    (list_price_amount * 100)::bigint as list_price_cents,
    valid_from,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "prices") }}
