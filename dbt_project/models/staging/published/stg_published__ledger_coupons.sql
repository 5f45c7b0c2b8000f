select *
from {{ published("ledger_coupons") }}
