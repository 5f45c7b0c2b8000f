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

-- By customer first: a pair of names takes longer to look for than one.
theirs as (
    select
        customer_id,
        product_id,
        known_date,
        line_count,
        load_number
    from {{ rollup }}
    where customer_id in ({{ few("customer_id") }} new)
),

touched as (
    select theirs.*
    from theirs
    inner join new on theirs.customer_id = new.customer_id and theirs.product_id = new.product_id
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
