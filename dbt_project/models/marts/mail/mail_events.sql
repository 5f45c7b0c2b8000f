select
    event_id,
    kind,
    send_id,
    link_id,
    is_machine,
    happened_at,
    known_at
from {{ ref("stg_mail__events") }}
where known_until is null
