select *
from {{ source("published", "recommendations") }}
