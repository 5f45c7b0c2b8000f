select *
from {{ published("send_outcomes") }}
