{{ config(materialized = "days_replaced", tags = ["features"]) }}

{#- A group of activities is null for everybody until its first row was known: the shop does not bring it, and 0 would
    say that nobody ever did it. After that, a customer without any has 0. -#}
{% set groups = {
    "browsing": ["view", "search", "add_to_cart", "remove_from_cart", "checkout_started"],
    "returns": ["return"],
    "service": ["question_ticket", "complaint_ticket", "other_ticket"],
    "reviews": ["review"],
    "surveys": ["survey_answer"],
    "texts": ["text"],
    "coupons": ["coupon_given"],
    "mail": ["mail_sent", "mail_open", "mail_click"],
} %}

with kinds as (
    select
        kind,
        min(known_date) as first_known_date
    from {{ ref("int_customer_activities_rolled") }}
    group by kind
),

-- noqa: disable=LT02,LT05
-- The linter measures what the loop makes of these lines.
capabilities as (
    select
        dates.as_of_date,
        {% for group, of_group in groups.items() %}
        coalesce(
            bool_or(kinds.kind in ('{{ of_group | join("', '") }}')), false
        ) as has_{{ group }}
        {%- if not loop.last %},{% endif %}
        {% endfor %}
    from {{ feature_dates() }} as dates
    left join kinds on dates.as_of_date > kinds.first_known_date
    group by dates.as_of_date
),
-- noqa: enable=LT02,LT05

measured as (
    select
        *,
        (as_of_date - last_ordered_date)::bigint as recency_days,
        (as_of_date - first_ordered_date)::bigint as tenure_days,
        {{ order_ages_bits() }} as order_ages_bits,
        (as_of_date - last_visit_date)::bigint as last_visit_days,
        (as_of_date - last_complaint_date)::bigint as last_complaint_days,
        (as_of_date - last_click_date)::bigint as last_click_days,
        gap_sum_days / gap_count as gap_mean_days,
        case
            when gap_count > 1
                then sqrt(greatest(gap_square_sum - gap_sum_days * gap_sum_days / gap_count, 0) / (gap_count - 1))
        end as gap_std_days
    from {{ newest_measures(ref("int_customers_measured")) }} as newest
    -- With an order known by the day; of the others there are visits, or orders taken back.
    where first_ordered_date is not null and usual_hour is not null
)

select
    measured.customer_id,
    measured.as_of_date,
    measured.recency_days,
    measured.tenure_days,
    measured.orders_7d_count,
    measured.orders_30d_count,
    measured.orders_90d_count,
    measured.orders_365d_count,
    measured.orders_lifetime_count,
    bit_count({{ order_days(1, 14) }})::bigint as order_days_14d_count,
    bit_count({{ order_days(1, 56) }})::bigint as order_days_56d_count,
    {{ active_weeks() }}::bigint as active_weeks_84d_count,
    measured.active_spans_count / ceil(measured.tenure_days / 28) as active_spans_share,
    measured.spend_7d_cents,
    measured.spend_30d_cents,
    measured.spend_90d_cents,
    measured.spend_365d_cents,
    measured.spend_lifetime_cents,
    measured.items_7d_count,
    measured.items_30d_count,
    measured.items_90d_count,
    measured.items_365d_count,
    measured.items_lifetime_count,
    (measured.orders_30d_count + 0.5::double)
    / ((measured.orders_90d_count - measured.orders_30d_count) / 2 + 0.5::double) as orders_trend_ratio,
    (measured.spend_30d_cents + 100.0::double)
    / ((measured.spend_90d_cents - measured.spend_30d_cents) / 2 + 100.0::double) as spend_trend_ratio,
    measured.orders_30d_count
    - 2 * measured.orders_60d_ago_count
    + measured.orders_90d_ago_count as orders_acceleration,
    measured.spend_30d_cents - 2 * measured.spend_60d_ago_cents + measured.spend_90d_ago_cents as spend_acceleration,
    case
        when measured.tenure_days >= 455
            then (measured.orders_90d_count + 0.5::double) / (measured.orders_year_ago_count + 0.5::double)
    end as orders_year_ratio,
    measured.gap_mean_days,
    measured.gap_std_days,
    measured.gap_median_days,
    measured.gap_p90_days,
    measured.gap_max_days,
    measured.gap_last_days,
    measured.recency_days / measured.gap_mean_days as gap_ratio,
    coalesce(measured.long_pause_sum_days, 0) / measured.tenure_days as long_pause_share,
    measured.spend_lifetime_cents / measured.orders_lifetime_count as basket_mean_cents,
    measured.lines_lifetime_count / measured.orders_lifetime_count as basket_mean_lines,
    measured.items_lifetime_count / measured.orders_lifetime_count as basket_mean_items,
    measured.spend_90d_cents / nullif(measured.orders_90d_count, 0) as basket_90d_mean_cents,
    coalesce(measured.products_lifetime_count, 0) as products_lifetime_count,
    coalesce(measured.products_new_90d_count, 0) as products_new_90d_count,
    coalesce(measured.categories_lifetime_count, 0) as categories_lifetime_count,
    coalesce(
        1 - measured.products_lifetime_count / nullif(measured.lines_lifetime_count, 0), 0
    ) as repeat_share,
    coalesce(measured.top_cents[1] / nullif(measured.net_amount_cents, 0), 0) as category_1_share,
    coalesce(measured.top_cents[2] / nullif(measured.net_amount_cents, 0), 0) as category_2_share,
    coalesce(measured.top_cents[3] / nullif(measured.net_amount_cents, 0), 0) as category_3_share,
    case
        when measured.top_cents[2] > 0
            then
                ln(measured.net_amount_cents)
                - measured.cents_ln_cents_trillionths / (1e12 * measured.net_amount_cents)
        else 0
    end as category_entropy,
    coalesce(measured.own_brand_cents / nullif(measured.net_amount_cents, 0), 0) as own_brand_share,
    coalesce(measured.top_category, 'unknown') as top_category,
    measured.spend_lifetime_cents / nullif(measured.items_lifetime_count, 0) as item_mean_cents,
    least(
        coalesce(measured.discount_lifetime_cents / nullif(measured.list_lifetime_cents, 0), 0), 1
    ) as discount_share,
    least(coalesce(measured.discount_90d_cents / nullif(measured.list_90d_cents, 0), 0), 1) as discount_90d_share,
    coalesce(measured.discounted_lines_count / nullif(measured.lines_lifetime_count, 0), 0) as discounted_lines_share,
    measured.weekend_count / measured.orders_lifetime_count as weekend_share,
    measured.morning_count / measured.orders_lifetime_count as morning_share,
    measured.evening_count / measured.orders_lifetime_count as evening_share,
    measured.usual_hour::double as usual_hour,
    measured.usual_hour_count / measured.orders_lifetime_count as usual_hour_share,
    measured.usual_weekday::double as usual_weekday,
    measured.orders_holiday_count / measured.orders_lifetime_count as holiday_share,
    {{ zero_where_brought("browsing", "measured.views_7d_count") }} as views_7d_count,
    {{ zero_where_brought("browsing", "measured.views_30d_count") }} as views_30d_count,
    {{ zero_where_brought("browsing", "measured.views_90d_count") }} as views_90d_count,
    {{ zero_where_brought("browsing", "measured.searches_30d_count") }} as searches_30d_count,
    {{ zero_where_brought("browsing", "measured.cart_adds_30d_count") }} as cart_adds_30d_count,
    {{ zero_where_brought("browsing", "measured.cart_removals_30d_count") }} as cart_removals_30d_count,
    {{ zero_where_brought("browsing", "measured.checkouts_30d_count") }} as checkouts_30d_count,
    {{ zero_where_brought("browsing", "measured.abandoned_carts_30d_count") }} as abandoned_carts_30d_count,
    {{ zero_where_brought("browsing", "measured.abandoned_carts_90d_count") }} as abandoned_carts_90d_count,
    measured.abandoned_carts_90d_count / nullif(measured.carts_90d_count, 0) as abandoned_cart_share,
    measured.last_visit_days,
    case
        when capabilities.has_browsing
            then coalesce(measured.views_90d_count, 0) / (measured.orders_90d_count + 0.5::double)
    end as views_per_order_ratio,
    {{ zero_where_brought("returns", "measured.returns_90d_count") }} as returns_90d_count,
    {{ zero_where_brought("returns", "measured.returns_lifetime_count") }} as returns_lifetime_count,
    {{ zero_where_brought("returns", "measured.refunds_lifetime_cents") }} as refunds_lifetime_cents,
    case
        when capabilities.has_returns and measured.spend_lifetime_cents > 0  -- least() passes over a null
            then least(coalesce(measured.refunds_lifetime_cents, 0) / measured.spend_lifetime_cents, 1)
    end as refund_share,
    {{ zero_where_brought("service", "measured.tickets_90d_count") }} as tickets_90d_count,
    {{ zero_where_brought("service", "measured.complaints_90d_count") }} as complaints_90d_count,
    {{ zero_where_brought("service", "measured.complaints_lifetime_count") }} as complaints_lifetime_count,
    {{ zero_where_brought("service", "measured.open_tickets_lifetime_count") }} as open_tickets_count,
    measured.last_complaint_days,
    {{ zero_where_brought("reviews", "measured.reviews_lifetime_count") }} as reviews_lifetime_count,
    measured.stars_sum / nullif(measured.reviews_lifetime_count, 0) as review_mean_stars,
    {{ zero_where_brought("surveys", "measured.survey_answers_lifetime_count") }} as survey_answers_lifetime_count,
    measured.points_sum / nullif(measured.survey_answers_lifetime_count, 0) as survey_mean_points,
    {{ zero_where_brought("texts", "measured.texts_lifetime_count") }} as texts_lifetime_count,
    measured.sentiments_sum / (10000 * nullif(measured.texts_lifetime_count, 0)) as text_mean_sentiment,
    {{ zero_where_brought("coupons", "measured.coupons_lifetime_count") }} as coupons_lifetime_count,
    {{ zero_where_brought("coupons", "measured.coupons_used_lifetime_count") }} as coupons_used_lifetime_count,
    measured.coupons_used_lifetime_count / nullif(measured.coupons_lifetime_count, 0) as coupons_used_share,
    {{ zero_where_brought("mail", "measured.mails_30d_count") }} as mails_30d_count,
    {{ zero_where_brought("mail", "measured.mails_90d_count") }} as mails_90d_count,
    {{ zero_where_brought("mail", "measured.opens_30d_count") }} as opens_30d_count,
    {{ zero_where_brought("mail", "measured.opens_90d_count") }} as opens_90d_count,
    {{ zero_where_brought("mail", "measured.clicks_30d_count") }} as clicks_30d_count,
    {{ zero_where_brought("mail", "measured.clicks_90d_count") }} as clicks_90d_count,
    measured.clicks_90d_count / nullif(measured.mails_90d_count, 0) as clicks_per_mail_ratio,
    measured.last_click_days,
    case
        when measured.orders_lifetime_count = 1 and measured.tenure_days <= 30 then 'new'
        when measured.recency_days > 365 then 'lapsed'
        when measured.returned_date >= measured.as_of_date - 30 then 'returned'
        when measured.recency_days > 3 * coalesce(measured.gap_mean_days, 60) then 'lapsing'
        when measured.recency_days > 1.5 * coalesce(measured.gap_mean_days, 60) then 'cooling'
        else 'active'
    end as lifecycle_stage
from measured
inner join capabilities on measured.as_of_date = capabilities.as_of_date
