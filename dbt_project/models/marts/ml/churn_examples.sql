{{ config(tags = ["training"]) }}

select
    features.*,
    labels.has_churned
from {{ ref("customer_features") }} as features
inner join {{ ref("churn_labels") }} as labels
    on features.customer_id = labels.customer_id and features.as_of_date = labels.as_of_date
