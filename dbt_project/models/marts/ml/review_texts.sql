-- Of several versions of a review the newest known counts; what has no text says nothing here.
select
    {{ as_of_date() }} as as_of_date,
    review_id,
    customer_id,
    rating::bigint as stars,
    body
from {{ ref("stg_shop__reviews") }}
where known_at < {{ as_of_date() }}
qualify
    row_number() over (partition by review_id order by known_at desc, source_file desc, source_row desc) = 1
    and body is not null
