{{ config(
    materialized = "incremental", incremental_strategy = "append", on_schema_change = "fail",
    pre_hook = "{% if is_incremental() %} delete from {{ this }} where as_of_date = {{ as_of_date() }} {% endif %}"
) }}

-- What became of each candidate of the campaigns that answer a warning, day by day: the ladder's step, or why not.
select
    send_id,
    customer_id,
    as_of_date,
    campaign_id,
    step,
    verdict
from {{ ref("stg_published__campaign_plan") }}
where list_contains({{ var("churn_campaigns") }}, campaign_id)
