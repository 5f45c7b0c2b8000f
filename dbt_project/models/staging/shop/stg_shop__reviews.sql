select
    review_id,
    customer_id,
    product_id,
    rating,
    body,
    reviewed_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "reviews") }}
