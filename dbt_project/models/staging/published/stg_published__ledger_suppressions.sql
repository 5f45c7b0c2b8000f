select *
from {{ published("ledger_suppressions") }}
