select *
from {{ source("published", "ledger_sends") }}
