with days as (
    select
        product_id,
        ordered_date,
        price_cents,
        sum(line_count)::bigint as line_count
    from {{ ref("int_product_days_rolled") }}
    where known_date < {{ as_of_date() }} and ordered_date >= {{ as_of_date() }} - 365
    group by product_id, ordered_date, price_cents
    having sum(line_count) > 0
),

sales as (
    select
        product_id,
        max(ordered_date) as last_sold_date,
        coalesce(sum(line_count) filter (ordered_date >= {{ as_of_date() }} - 90), 0)::bigint as sold_90d_count,
        -- What most paid for one piece before discounts on the day it was last sold; of equals the highest.
        arg_max(price_cents, struct_pack(ordered_date, line_count, price_cents)) as price_cents
    from days
    group by product_id
),

-- Where the shop brings its prices, they are the price.
prices as (
    select
        product_id,
        price_cents
    from {{ ref("price_history") }}
    where valid_from <= {{ as_of_date() }} and (valid_until is null or valid_until > {{ as_of_date() }})
),

stock as (
    select
        product_id,
        quantity as stock_count
    from {{ ref("stock_history") }}
    where valid_from <= {{ as_of_date() }} and (valid_until is null or valid_until > {{ as_of_date() }})
),

told as (
    select
        product_id,
        min(known_at)::date as first_known_date
    from {{ ref("stg_shop__products") }}
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
    coalesce(prices.price_cents, sales.price_cents) as price_cents,
    products.cost_cents,
    sales.last_sold_date,
    coalesce(sales.sold_90d_count, 0) as sold_90d_count,
    stock.stock_count,
    told.first_known_date,
    (
        products.name is not null
        and coalesce(prices.price_cents, sales.price_cents) is not null
        -- noqa: disable=LT05
        and coalesce(products.category, '') not in ('{{ var("unrecommendable_categories") | join("', '") }}')
        and coalesce(products.subcategory, '') not in ('{{ var("unrecommendable_subcategories") | join("', '") }}')
        -- noqa: enable=LT05
    ) as is_recommendable
from {{ with_known_until(ref("stg_shop__products"), "product_id") }} as products
inner join told on products.product_id = told.product_id
left join sales on products.product_id = sales.product_id
left join prices on products.product_id = prices.product_id
left join stock on products.product_id = stock.product_id
where {{ known_at_day("products", as_of_date()) }}
