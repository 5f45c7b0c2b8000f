{% set tables = [
    "consents", "coupons", "customers", "events", "mail_events", "order_lines", "orders", "prices",
    "products", "returns", "reviews", "sentiments", "stock_levels", "support_tickets", "survey_answers",
] %}

with arrivals as (
    {% for table in tables %}
    select
        '{{ table }}' as table_name,
        max(known_at)::date as last_known_date
    from {{ source("landing", table) }}
    where known_at < {{ as_of_date() }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    contracts.table_name,
    {{ as_of_date() }} as as_of_date,
    contracts.is_required,
    contracts.freshness_days,
    contracts.stops_after_days,
    arrivals.last_known_date,
    {{ as_of_date() }} - arrivals.last_known_date as stale_days
from {{ source("landing", "contracts") }} as contracts
left join arrivals on contracts.table_name = arrivals.table_name
