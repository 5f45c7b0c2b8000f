-- One row per customer and day features are asked for: how many different products they buy.
{% set sums = {
    "products_lifetime_count": ("appeared_count", "true"),
    "products_new_90d_count": ("appeared_count", "age_days <= 90"),
} %}

{{ summed(ref("int_customer_assortments_rolled"), "appeared_date", [90], sums) }}
