{{ config(tags = ["training"]) }}

-- The features that `ml/churn/features.py` names, and beside them what a reviewer slices by (`ml/churn/slices.py`),
-- which no model learns from. Of more examples than a training takes, those of customers drawn by lot: all of theirs.
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
    features.gap_last_days,
    features.gap_max_days,
    features.items_30d_count,
    features.items_90d_count,
    features.products_new_90d_count,
    features.products_lifetime_count,
    features.categories_lifetime_count,
    features.orders_acceleration,
    features.discount_90d_share,
    features.discounted_lines_share,
    features.repeat_share,
    features.order_days_14d_count,
    features.order_days_56d_count,
    features.active_weeks_84d_count,
    features.active_spans_share,
    features.gap_median_days,
    features.gap_p90_days,
    features.long_pause_share,
    features.lifecycle_stage,
    coalesce(customers.locale, '{{ var("shop_locale") }}') as locale,
    labels.has_churned,
    labels.has_churned_by_rhythm
from {{ ref("customer_features") }} as features
inner join {{ ref("churn_labels") }} as labels
    on features.customer_id = labels.customer_id and features.as_of_date = labels.as_of_date
left join {{ with_known_until(ref("stg_shop__customers"), "customer_id") }} as customers
    on features.customer_id = customers.customer_id and {{ known_at_day("customers", "features.as_of_date") }}
where
    {{ keyed_share("'churn_examples'", "labels.customer_id") }}
    < {{ var("most_churn_examples") }} / (select count(*) from {{ ref("churn_labels") }})
