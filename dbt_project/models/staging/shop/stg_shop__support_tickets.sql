select
    ticket_id,
    customer_id,
    kind,
    opened_at,
    closed_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "support_tickets") }}
