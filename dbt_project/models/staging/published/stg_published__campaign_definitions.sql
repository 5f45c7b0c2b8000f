select *
from {{ published("campaign_definitions") }}
