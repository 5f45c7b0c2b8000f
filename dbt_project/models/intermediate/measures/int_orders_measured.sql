-- One row per customer and day features are asked for: orders, money and things by age of the day.
{% set sums = {
    "orders_lifetime_count": ("order_count", "true"),
    "spend_lifetime_cents": ("net_amount_cents", "true"),
    "items_lifetime_count": ("quantity", "true"),
    "lines_lifetime_count": ("line_count", "true"),
    "discounted_lines_count": ("discounted_line_count", "true"),
    "list_lifetime_cents": ("list_amount_cents", "true"),
    "discount_lifetime_cents": ("discount_amount_cents", "true"),
    "list_90d_cents": ("list_amount_cents", "age_days <= 90"),
    "discount_90d_cents": ("discount_amount_cents", "age_days <= 90"),
} %}
{% for days in [7, 30, 90, 365] %}
{% do sums.update({
    "orders_" ~ days ~ "d_count": ("order_count", "age_days <= " ~ days),
    "spend_" ~ days ~ "d_cents": ("net_amount_cents", "age_days <= " ~ days),
    "items_" ~ days ~ "d_count": ("quantity", "age_days <= " ~ days),
}) %}
{% endfor %}
{# For acceleration: the 30 days before the last 30, and the 30 before those. #}
{% for youngest, oldest in [(31, 60), (61, 90)] %}
{% set age = "age_days between " ~ youngest ~ " and " ~ oldest %}
{% do sums.update({
    "orders_" ~ oldest ~ "d_ago_count": ("order_count", age),
    "spend_" ~ oldest ~ "d_ago_cents": ("net_amount_cents", age),
}) %}
{% endfor %}
{# For seasons: the same 90 days a year ago; orders of November and December. #}
{% do sums.update({
    "orders_year_ago_count": ("order_count", "age_days between 366 and 455"),
    "orders_holiday_count": ("order_count", "month(ordered_date) >= 11"),
}) %}

{{ summed(ref("int_customer_days_rolled"), "ordered_date", [7, 30, 60, 90, 365, 455], sums) }}
