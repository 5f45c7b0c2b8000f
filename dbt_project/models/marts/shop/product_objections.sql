-- Of several versions of a return or a review the newest known counts; of several reviews the newest.
with sent_back as (
    select
        customer_id,
        product_id,
        max(returned_at)::date as returned_date
    from (
        select *
        from {{ ref("stg_shop__returns") }}
        where known_at < {{ as_of_date() }}
        qualify row_number() over (partition by return_id order by known_at desc, source_file desc, source_row desc) = 1
    )
    group by customer_id, product_id
),

rated as (
    select
        customer_id,
        product_id,
        max(reviewed_at)::date as reviewed_date,
        arg_max(rating, struct_pack(reviewed_at, review_id)) as stars
    from (
        select *
        from {{ ref("stg_shop__reviews") }}
        where known_at < {{ as_of_date() }}
        qualify row_number() over (partition by review_id order by known_at desc, source_file desc, source_row desc) = 1
    )
    group by customer_id, product_id
)

select
    {{ as_of_date() }} as as_of_date,
    sent_back.returned_date,
    rated.reviewed_date,
    rated.stars::bigint as stars,
    coalesce(sent_back.customer_id, rated.customer_id) as customer_id,
    coalesce(sent_back.product_id, rated.product_id) as product_id
from sent_back
full join rated on sent_back.customer_id = rated.customer_id and sent_back.product_id = rated.product_id
