{{ config(tags = ["training"]) }}

-- The features that `ml/churn/features.py` names.
select
    features.customer_id,
    features.as_of_date,
    features.recency_days,
    features.tenure_days,
    features.orders_7d_count,
    features.orders_30d_count,
    features.orders_90d_count,
    features.orders_lifetime_count,
    features.spend_30d_cents,
    features.spend_90d_cents,
    features.spend_lifetime_cents,
    features.basket_mean_cents,
    features.basket_mean_lines,
    features.gap_mean_days,
    features.gap_std_days,
    features.gap_ratio,
    features.orders_trend_ratio,
    features.spend_trend_ratio,
    features.discount_share,
    features.category_1_share,
    features.category_2_share,
    features.category_3_share,
    features.category_entropy,
    features.weekend_share,
    features.morning_share,
    features.evening_share,
    features.usual_hour,
    features.usual_hour_share,
    features.usual_weekday,
    features.own_brand_share,
    features.top_category,
    labels.has_churned
from {{ ref("customer_features") }} as features
inner join {{ ref("churn_labels") }} as labels
    on features.customer_id = labels.customer_id and features.as_of_date = labels.as_of_date
