-- One row per customer and day features are asked for: what they buy and spend on, by category and brand.
{% set rollup = ref("int_customer_categories_rolled") %}

{# Whatever changes their purchases changes a row of their days. #}
with {{ with_due([(ref("int_customer_days_rolled"), "ordered_date", [])]) }}

spend as (
    select
        customer_id,
        as_of_date,
        category,
        sum(net_amount_cents)::bigint as net_amount_cents,
        sum(own_brand_cents)::bigint as own_brand_cents
    from {{ known_before_feature_days(rollup) }} as categories
    group by customer_id, as_of_date, category
    having sum(line_count) > 0
),

measured as (
    select
        customer_id,
        as_of_date,
        -- The first of equals by name.
        arg_min(category, struct_pack(less := -net_amount_cents, category)) as top_category,
        max(net_amount_cents, 3) as top_cents,
        count(*) as categories_lifetime_count,
        sum(net_amount_cents)::bigint as net_amount_cents,
        sum(own_brand_cents)::bigint as own_brand_cents,
        -- For Shannon's entropy; whole trillionths, so that adding in another order gives the same.
        coalesce(sum(
            case when net_amount_cents > 0 then round(1e12 * net_amount_cents * ln(net_amount_cents)) end::hugeint
        ), 0) as cents_ln_cents_trillionths
    from spend
    group by customer_id, as_of_date
)

{{ whoever_is_due("measured") }}
