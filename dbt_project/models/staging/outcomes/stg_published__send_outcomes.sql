select *
from {{ source("published", "send_outcomes") }}
