select *
from {{ published("ledger_preferences") }}
