select *
from {{ source("published", "churn_scores") }}
