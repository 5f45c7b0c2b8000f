select *
from {{ published("churn_reasons") }}
