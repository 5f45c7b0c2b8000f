with sales as (
    select
        product_id,
        max(ordered_date) as last_sold_date,
        count(distinct order_id) filter (ordered_date >= {{ as_of_date() }} - 90) as sold_90d_count,
        -- What one piece cost before discounts when it was last sold.
        round(
            arg_max(list_amount_cents, struct_pack(ordered_at, order_id, line_number))
            / arg_max(quantity, struct_pack(ordered_at, order_id, line_number))
        )::bigint as price_cents
    from {{ ref("int_purchases_known") }} as purchases
    where quantity > 0 and list_amount_cents > 0 and {{ known_at_day("purchases", as_of_date()) }}
    group by product_id
)

select
    products.product_id,
    {{ as_of_date() }} as as_of_date,
    products.name,
    products.category,
    products.subcategory,
    products.brand,
    products.size,
    sales.price_cents,
    sales.last_sold_date,
    coalesce(sales.sold_90d_count, 0) as sold_90d_count,
    (
        products.name is not null
        and sales.price_cents is not null
        -- noqa: disable=LT05
        and coalesce(products.category, '') not in ('{{ var("unrecommendable_categories") | join("', '") }}')
        and coalesce(products.subcategory, '') not in ('{{ var("unrecommendable_subcategories") | join("', '") }}')
        -- noqa: enable=LT05
    ) as is_recommendable
from {{ ref("stg_shop__products") }} as products
left join sales on products.product_id = sales.product_id
where {{ known_at_day("products", as_of_date()) }}
