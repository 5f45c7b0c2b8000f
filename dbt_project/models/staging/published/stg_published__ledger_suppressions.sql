select *
from {{ source("published", "ledger_suppressions") }}
