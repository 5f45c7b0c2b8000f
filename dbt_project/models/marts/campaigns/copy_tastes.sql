-- What customers spend on, as shares of the shop's categories, beside what all customers spend on.
with spend as (
    select
        customer_id,
        category,
        sum(net_amount_cents)::double as spent_cents
    from {{ ref("int_customer_categories_rolled") }}
    where known_date < {{ as_of_date() }}
    group by customer_id, category
    having sum(line_count) > 0 and sum(net_amount_cents) > 0
),

shop as (
    select
        category,
        sum(spent_cents) / sum(sum(spent_cents)) over () as shop_share
    from spend
    group by category
),

customers as (
    select
        customer_id,
        sum(spent_cents) as spent_cents
    from spend
    group by customer_id
),

shares as (
    select
        spend.customer_id,
        list_sort(list(struct_pack(
            category := spend.category,
            share := spend.spent_cents / customers.spent_cents,
            shop_share := shop.shop_share
        ))) as tastes,
        -- In whole trillionths, so that adding in another order gives the same.
        sum(round(
            1e12 * spend.spent_cents / customers.spent_cents
            * ln(spend.spent_cents / customers.spent_cents / ({{ var("copy_smoothing") }} * shop.shop_share))
        )::bigint) / 1e12 as divergence_from_nothing
    from spend
    inner join customers on spend.customer_id = customers.customer_id
    inner join shop on spend.category = shop.category
    group by spend.customer_id
)

select
    customer_id,
    {{ as_of_date() }} as as_of_date,
    list_transform(tastes, lambda taste: taste.category) as categories,
    list_transform(tastes, lambda taste: taste.share) as category_shares,
    list_transform(tastes, lambda taste: taste.shop_share) as category_shop_shares,
    divergence_from_nothing
from shares
