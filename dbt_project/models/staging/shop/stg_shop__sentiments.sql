select
    text_id,
    customer_id,
    kind,
    sentiment,
    written_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "sentiments") }}
