with strangers as (
    select
        orders.source_file,
        orders.source_row,
        'orders' as table_name,
        'customer_id' as column_name,
        orders.customer_id as value,
        'is no known customer' as reason,
        orders.known_at
    from {{ ref("stg_shop__orders") }} as orders
    where
        not exists (
            select 1 from {{ ref("stg_shop__customers") }} as customers
            where customers.customer_id = orders.customer_id and customers.known_at < {{ as_of_date() }}
        )
    union all
    select
        lines.source_file,
        lines.source_row,
        'order_lines' as table_name,
        'product_id' as column_name,
        lines.product_id as value,
        'is no known product' as reason,
        lines.known_at
    from {{ ref("stg_shop__order_lines") }} as lines
    where
        not exists (
            select 1 from {{ ref("stg_shop__products") }} as products
            where products.product_id = lines.product_id and products.known_at < {{ as_of_date() }}
        )
    union all
    select
        lines.source_file,
        lines.source_row,
        'order_lines' as table_name,
        'order_id' as column_name,
        lines.order_id as value,
        'is no known order' as reason,
        lines.known_at
    from {{ ref("stg_shop__order_lines") }} as lines
    where not exists (
        select 1 from {{ ref("stg_shop__orders") }} as orders
        where orders.order_id = lines.order_id and orders.known_at < {{ as_of_date() }}
    )
)

select
    split_part(source_file, '/', 1) as source,
    source_file,
    source_row as row_number,
    table_name,
    column_name,
    left(value, 40) as value,
    reason,
    null::varchar as mended_in,
    {{ as_of_date() }} as as_of_date
from strangers
where known_at < {{ as_of_date() }}
union all
select
    source,
    file as source_file,
    row_number,
    table_name,
    column_name,
    value,
    reason,
    case when mended_known_at < {{ as_of_date() }} then mended_in end as mended_in,
    {{ as_of_date() }} as as_of_date
from {{ source("landing", "rejected_rows") }}
-- A broken row may lack the moment it became known: it is shown on every day.
where known_at is null or known_at < {{ as_of_date() }}
