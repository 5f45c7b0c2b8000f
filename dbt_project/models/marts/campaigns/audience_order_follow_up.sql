-- Customers who ordered two or three days ago: what to do with what they bought.
{% set rule = "the last order is 2 or 3 days old" %}
{% set topics = {
    "frozen": "frozen|ice cream",
    "bakery": "bakery|bread|pastry|cake",
    "dairy": "dairy|milk|cheese|yogurt|butter|eggs",
    "meat": "meat|beef|pork|chicken|poultry|seafood|fish|deli",
    "fresh": "produce|fruit|vegetable|salad|fresh",
    "garden": "garden|plant|floral|flower",
    "household": "household|clean|laundry|paper|drug gm|kitchen",
    "pantry": "grocery|pantry|pasta|rice|cereal|soup|coffee|tea|spice",
} %}

with orders as (
    select
        customer_id,
        {{ as_of_date() }} - recency_days::integer as ordered_date
    from {{ ref("customer_features") }}
    where as_of_date = {{ as_of_date() }} and recency_days between 2 and 3
),

bought as (
    select
        interactions.customer_id,
        interactions.product_id,
        interactions.quantity,
        -- The first that the product's department or shelf names.
        case
            {%- for topic, words in topics.items() %}
            when regexp_matches(lower(concat_ws(' ', products.subcategory, products.category)), '{{ words }}')
                then '{{ topic }}'
            {%- endfor %}
        end as topic
    from {{ ref("interactions") }} as interactions
    inner join orders
        on interactions.customer_id = orders.customer_id and interactions.ordered_date = orders.ordered_date
    inner join {{ ref("products") }} as products on interactions.product_id = products.product_id
),

topics as (
    select
        customer_id,
        topic,
        row_number() over (partition by customer_id order by count(*) desc, topic) as place
    from bought
    where topic is not null
    group by customer_id, topic
),

lists as (
    select *
    from {{ product_lists("bought", product_fact("products", "'just_bought'"), "picked.quantity desc", 4) }} as lists
)

select
    orders.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        ordered_date := orders.ordered_date,
        care_topic := topics.topic,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, {
        "recency_days": "features.recency_days",
        "orders_lifetime_count": "features.orders_lifetime_count",
        "basket_mean_items": "round(features.basket_mean_items, 1)",
    }) }} as evidence
from orders
inner join lists on orders.customer_id = lists.customer_id
left join topics on orders.customer_id = topics.customer_id and topics.place = 1
inner join {{ ref("customers") }} as customers on orders.customer_id = customers.customer_id
inner join {{ ref("customer_features") }} as features
    on orders.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
