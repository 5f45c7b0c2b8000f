-- Few rows: only what was unknown when its row was known is looked up again.
with known as (
    {% for table, key in [("customers", "customer_id"), ("orders", "order_id"), ("products", "product_id")] %}
    select
        '{{ table }}' as refers_to,
        {{ key }} as value,
        min(known_at) as first_known_at
    from {{ ref("stg_shop__" ~ table) }}
    where {{ key }} in (select strangers.value from {{ source("landing", "strangers") }} as strangers)
    group by {{ key }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    split_part(strangers.source_file, '/', 1) as source,
    strangers.source_file,
    strangers.source_row as row_number,
    strangers.table_name,
    strangers.column_name,
    left(strangers.value, 40) as value,
    'is no known ' || rtrim(strangers.refers_to, 's') as reason,
    null::varchar as mended_in,
    {{ as_of_date() }} as as_of_date
from {{ source("landing", "strangers") }} as strangers
left join known on strangers.refers_to = known.refers_to and strangers.value = known.value
where
    strangers.known_at < {{ as_of_date() }}
    and (known.first_known_at is null or known.first_known_at >= {{ as_of_date() }})
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
