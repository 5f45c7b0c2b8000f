select
    product_id,
    nullif(name, '') as name,
    category,
    subcategory,
    brand,
    size,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "products") }}
