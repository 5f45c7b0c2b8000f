-- How many products appeared in a customer's purchases for the first time, per day that became known.
{% set rollup = ref("int_customer_products_rolled") %}
{% set rows = "touched" if stands() else rollup %}

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
{% endif %}

corrected_pairs as (
    select distinct
        customer_id,
        product_id
    from {{ rows }}
    where line_count <= 0
),

corrected as (
    select *
    from {{ rows }}
    inner join corrected_pairs using (customer_id, product_id)
),

-- Nearly all pairs were never corrected: they appear once, on the first day they are known.
simple as (
    select
        customer_id,
        product_id,
        min(known_date) as first_known_date,
        -- As it was told before: null where nothing was.
        min(known_date) filter (load_number <= {{ seen() }}) as told_date
    from {{ rows }}
    left join (select *, true as is_corrected from corrected_pairs) as corrected_pairs using (customer_id, product_id)
    where is_corrected is null
    group by customer_id, product_id
    having first_known_date is distinct from told_date
),

appearances as (
    select
        customer_id,
        first_known_date as known_date,
        first_known_date as appeared_date,
        1 as appeared
    from simple
    union all
    select *
    from (
        {{ appearances("corrected") }}
    ) as now
    {% if stands() %}
    union all
    select
        customer_id,
        told_date as known_date,
        told_date as appeared_date,
        -1 as appeared
    from simple
    where told_date is not null
    union all
    select * replace (-appeared as appeared)
    from (
        {{ appearances("(from corrected where load_number <= " ~ seen() ~ ")") }}
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
