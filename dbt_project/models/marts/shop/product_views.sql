-- Of several versions of an event the newest known counts.
with looks as (
    select
        customer_id,
        product_id,
        kind,
        happened_at
    from {{ ref("stg_shop__events") }}
    where known_at < {{ as_of_date() }}
    qualify row_number() over (partition by event_id order by known_at desc, source_file desc, source_row desc) = 1
)

select
    {{ as_of_date() }} as as_of_date,
    max(happened_at)::date as last_viewed_date,
    customer_id,
    product_id
from looks
where
    kind = 'view'
    and product_id is not null
    and happened_at >= {{ as_of_date() }} - 90
group by customer_id, product_id
