select
    event_id,
    kind,
    send_id,
    link_id,
    is_machine,
    happened_at,
    known_at
from {{ ref("stg_mail__events") }}
where kind <> 'sent' -- the ledger itself says better what was sent
qualify row_number() over (partition by event_id order by known_at desc, source_file desc, source_row desc) = 1
