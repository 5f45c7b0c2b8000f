select
    event_id,
    kind,
    send_id,
    customer_id,
    link_id,
    is_machine,
    happened_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "mail_events") }}
