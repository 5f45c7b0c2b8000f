-- One row per customer and day features are asked for: how many different things they buy.
{% set rollup = ref("int_customer_assortments_rolled") %}

with {{ with_due([(rollup, "appeared_date", [90])]) }}

appearances as (
    select
        *,
        as_of_date - appeared_date <= 90 as is_new
    from {{ known_before_feature_days(rollup) }} as appearances
)

select
    customer_id,
    as_of_date,
    {{ newest_load() }} as load_number,
    coalesce(sum(appeared_count) filter (thing = 'product'), 0)::bigint as products_lifetime_count,
    coalesce(sum(appeared_count) filter (thing = 'category'), 0)::bigint as categories_lifetime_count,
    coalesce(sum(appeared_count) filter (thing = 'product' and is_new), 0)::bigint as products_new_90d_count
from appearances
group by customer_id, as_of_date
{{ and_as_before() }}
