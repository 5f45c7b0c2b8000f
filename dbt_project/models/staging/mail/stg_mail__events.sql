select
    event_id,
    kind,
    send_id,
    link_id,
    is_machine,
    happened_at,
    known_at,
    {{ known_until("event_id") }} as known_until
from {{ source("landing", "mail_events") }}
