-- How many products appeared in a customer's purchases for the first time, per day that became known.
{% set rollup = ref("int_customer_products_rolled") %}

with
{% if stands() %}
new as (
    select distinct
        customer_id,
        product_id
    from {{ rollup }}
    where load_number > {{ seen() }}
),

touched as (
    select
        rollup.customer_id,
        rollup.product_id,
        rollup.known_date,
        rollup.line_count,
        rollup.load_number
    from {{ rollup }} as rollup
    inner join new on rollup.customer_id = new.customer_id and rollup.product_id = new.product_id
),

before as (
    select *
    from touched
    where load_number <= {{ seen() }}
),
{% endif %}

appearances as (
    select *
    from (
        {{ appearances("touched" if stands() else rollup) }}
    ) as now
    {% if stands() %}
    union all
    select * replace (-appeared as appeared)
    from (
        {{ appearances("before") }}
    ) as earlier
    {% endif %}
)

select
    customer_id,
    known_date,
    appeared_date,
    sum(appeared)::bigint as appeared_count,
    {{ newest_load() }} as load_number
from appearances
group by customer_id, known_date, appeared_date
having sum(appeared) <> 0
{{ by_customer() }}
