select *
from {{ published("churn_watch") }}
