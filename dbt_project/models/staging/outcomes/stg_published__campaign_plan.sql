select *
from {{ published("campaign_plan") }}
