-- One row per customer and day features are asked for: how many different things they buy.
select
    customer_id,
    as_of_date,
    coalesce(sum(appeared_count) filter (thing = 'product'), 0)::bigint as products_lifetime_count,
    coalesce(sum(appeared_count) filter (thing = 'category'), 0)::bigint as categories_lifetime_count,
    coalesce(
        sum(appeared_count) filter (thing = 'product' and as_of_date - appeared_date <= 90), 0
    )::bigint as products_new_90d_count
from {{ known_before_feature_days(ref("int_customer_assortments_rolled")) }} as assortments
group by customer_id, as_of_date
