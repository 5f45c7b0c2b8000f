{# Read by the plan, and by the warnings of the report. #}
{{ config(tags = ["report"]) }}

select *
from {{ published("churn_scores") }}
