select *
from {{ published("churn_scores") }}
