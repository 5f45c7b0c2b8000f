-- A count holds until the product's next one; of several versions of a count the newest known counts.
with known as (
    select
        product_id,
        counted_at,
        arg_max(quantity, struct_pack(known_at, source_file, source_row)) as quantity
    from {{ ref("stg_shop__stock_levels") }}
    where known_at < {{ as_of_date() }}
    group by product_id, counted_at
)

select
    product_id,
    quantity,
    counted_at as valid_from,
    lead(counted_at) over (partition by product_id order by counted_at) as valid_until,
    {{ as_of_date() }} as as_of_date
from known
