select *
from {{ source("published", "campaign_definitions") }}
