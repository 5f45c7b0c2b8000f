-- How many products and categories appeared in a customer's purchases for the first time, per day that became known.
{% set things = [
    ("product", "product_id", ref("int_customer_products_rolled")),
    ("category", "category", ref("int_customer_categories_rolled")),
] %}

with
{% for thing, id, rollup in things %}
{% if is_incremental() %}
{{ thing }}_new as (
    select distinct
        customer_id,
        {{ id }}
    from {{ rollup }}
    where load_number > {{ seen() }}
),

{{ thing }}_touched as (
    select
        rollup.customer_id,
        rollup.{{ id }},
        rollup.known_date,
        rollup.line_count,
        rollup.load_number
    from {{ rollup }} as rollup
    inner join {{ thing }}_new as new on rollup.customer_id = new.customer_id and rollup.{{ id }} = new.{{ id }}
),

{{ thing }}_before as (
    select *
    from {{ thing }}_touched
    where load_number <= {{ seen() }}
),
{% endif %}

{{ thing }}_appearances as (
    select
        '{{ thing }}' as thing,
        now.*
    from (
        {{ appearances(thing ~ "_touched" if is_incremental() else rollup, id) }}
    ) as now
    {% if is_incremental() %}
    union all
    select
        '{{ thing }}' as thing,
        before.customer_id,
        before.known_date,
        before.appeared_date,
        -before.appeared as appeared
    from (
        {{ appearances(thing ~ "_before", id) }}
    ) as before
    {% endif %}
),
{% endfor %}

appearances as (
    select * from product_appearances
    union all
    select * from category_appearances
)

select
    customer_id,
    thing,
    known_date,
    appeared_date,
    sum(appeared)::bigint as appeared_count,
    {{ newest_load() }} as load_number
from appearances
group by customer_id, thing, known_date, appeared_date
having sum(appeared) <> 0
