-- Customers for whom something new stands on the shelves they buy from.
{% set rule = "at least two products, new in the last 14 days, "
    ~ "from shelves of which at least a tenth of the customer's purchases came" %}

with shelves as (
    select
        product_id,
        coalesce(subcategory, category) as shelf,
        first_known_date
    from {{ ref("products") }}
    where coalesce(subcategory, category) is not null
),

-- What came with the first delivery of the catalogue was not new.
arrivals as (
    select
        product_id,
        shelf,
        first_known_date
    from shelves
    where
        first_known_date >= {{ as_of_date() }} - 14
        and first_known_date > (select min(opening.first_known_date) + 14 from shelves as opening)
),

purchases as (
    select
        interactions.customer_id,
        shelves.shelf,
        sum(interactions.line_count) as line_count
    from {{ ref("interactions") }} as interactions
    inner join shelves on interactions.product_id = shelves.product_id
    where exists (select 1 from arrivals) and interactions.ordered_date >= {{ as_of_date() }} - 365
    group by interactions.customer_id, shelves.shelf
),

tastes as (
    select
        customer_id,
        shelf,
        line_count / sum(line_count) over (partition by customer_id) as shelf_share
    from purchases
),

picked as (
    select
        tastes.customer_id,
        arrivals.product_id,
        arrivals.first_known_date,
        tastes.shelf_share
    from tastes
    inner join arrivals on tastes.shelf = arrivals.shelf
    left join {{ ref("interactions") }} as bought
        on tastes.customer_id = bought.customer_id and arrivals.product_id = bought.product_id
    where tastes.shelf_share >= 0.1 and bought.customer_id is null
),

lists as (
    select *
    from {{ product_lists(
        "picked", product_fact("products", "'new_arrival'"), "picked.shelf_share desc, picked.first_known_date desc", 4
    ) }} as lists
)

{{ shows_lists(rule, {
    "recency_days": "features.recency_days",
    "top_category": "features.top_category",
    "category_1_share": "round(features.category_1_share, 3)",
}) }}
where len(lists.facts) >= 2 and features.recency_days <= 180
