select *
from {{ source("published", "campaign_plan") }}
