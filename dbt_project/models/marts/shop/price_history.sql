-- A price holds from `valid_from` until the product's next one; of several versions of a price the newest known counts.
with known as (
    select
        product_id,
        valid_from,
        arg_max(price_cents, struct_pack(known_at, source_file, source_row)) as price_cents,
        arg_max(list_price_cents, struct_pack(known_at, source_file, source_row)) as list_price_cents
    from {{ ref("stg_shop__prices") }}
    where known_at < {{ as_of_date() }}
    group by product_id, valid_from
)

select
    product_id,
    price_cents,
    coalesce(list_price_cents, price_cents) as list_price_cents,
    valid_from,
    lead(valid_from) over (partition by product_id order by valid_from) as valid_until,
    {{ as_of_date() }} as as_of_date
from known
