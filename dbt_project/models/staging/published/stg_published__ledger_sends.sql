select *
from {{ published("ledger_sends") }}
