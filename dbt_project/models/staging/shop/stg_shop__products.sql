select
    product_id,
    nullif(name, '') as name,
    category,
    subcategory,
    brand,
    size,
    (unit_cost_amount * 100)::bigint as cost_cents,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "products") }}
