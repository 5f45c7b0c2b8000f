-- One row per order line and day its knowledge changed, from the day the line, its order, its customer and its product
-- were known. It keeps the category and brand that the product had when that was so.
{% set columns = [
    "order_id", "line_number", "customer_id", "product_id", "category", "is_own_brand", "ordered_date",
    "quantity", "list_amount_cents", "discount_amount_cents", "net_amount_cents",
] %}

with customers as (
    {{ first_known(ref("stg_shop__customers"), "customer_id") }}
),

-- Only versions that say something else than the one before: a catalogue is landed every night.
product_versions as (
    select
        *,
        lead(known_at) over (partition by product_id order by known_at) as known_until
    from (
        select
            product_id,
            coalesce(category, 'unknown') as category,
            coalesce(brand = 'Private', false) as is_own_brand,
            known_at,
            load_number
        from {{ ref("stg_shop__products") }}
        qualify
            lag(product_id) over (partition by product_id order by known_at, source_file, source_row) is null
            or (category, brand) is distinct from lag((category, brand)) over (
                partition by product_id order by known_at, source_file, source_row
            )
    ) as differing
),

{% set orders = "touched_orders" if stands() else ref("stg_shop__orders") %}
{% set lines = "touched_lines" if stands() else ref("stg_shop__order_lines") %}
{% if stands() %}
touched as (
    {{ few("order_id") }} (
        {{ touched_orders() }}
        union
        select order_id
        from {{ ref("stg_shop__order_lines") }}
        where load_number > {{ seen() }}
        union
        select order_id
        from {{ ref("stg_shop__order_lines") }}
        where
            product_id in (
                {{ known_sooner(ref("stg_shop__products"), "product_id") }}
                union
                -- A category of days that were counted already.
                select product_versions.product_id
                from product_versions
                where
                    product_versions.load_number > {{ seen() }}
                    and product_versions.known_at < (select max(this.known_date) + 1 from {{ this }} as this)
            )
    ) as changed
),

touched_orders as (
    select *
    from {{ ref("stg_shop__orders") }}
    where order_id in (from touched)
),

touched_lines as (
    select *
    from {{ ref("stg_shop__order_lines") }}
    where order_id in (from touched)
),
{% endif %}

products as (
    {{ first_known("product_versions", "product_id") }}
),

repeated as (
    select order_id
    from {{ orders }}
    group by order_id
    having count(*) > 1
    union
    select order_id
    from {{ lines }}
    group by order_id
    -- A bit for each line: to count different numbers would take ten times the memory. The few that share a bit count
    -- as repeated, which costs time and changes nothing.
    having bit_count(bit_or(1::hugeint << least(line_number, 126)::hugeint)) < count(*)
),

-- Nearly every order and line stands there once: only the others have to be sorted by time. 50 million sorted lines do
-- not fit into memory.
{% for case, among in [("single", "not in"), ("repeated", "in")] %}
{{ case }}_orders as (
    select
        order_id,
        customer_id,
        ordered_at::date as ordered_date,
        status,
        known_at,
        {{ known_until("order_id") if case == "repeated" else "null::timestamp" }} as known_until
    from {{ orders }}
    where order_id {{ among }} (from repeated)
),

{{ case }}_lines as (
    select
        *,
        {{ known_until("order_id, line_number") if case == "repeated" else "null::timestamp" }} as known_until
    from {{ lines }}
    where order_id {{ among }} (from repeated)
),

{{ case }}_versions as (
    select
        lines.order_id,
        lines.line_number,
        orders.customer_id,
        lines.product_id,
        orders.ordered_date,
        lines.quantity,
        lines.list_amount_cents,
        lines.discount_amount_cents,
        lines.net_amount_cents,
        greatest(
            lines.known_at, orders.known_at, customers.first_known_at, products.first_known_at
        ) as known_at,
        least(lines.known_until, orders.known_until) as known_until
    from {{ case }}_lines as lines
    inner join {{ case }}_orders as orders on lines.order_id = orders.order_id
    inner join customers on orders.customer_id = customers.customer_id
    inner join products on lines.product_id = products.product_id
    where orders.status is distinct from 'cancelled'
),
{% endfor %}

-- A correction of the amount or the day is no new purchase: it keeps its category.
purchases as (
    select
        *,
        known_at as first_known_at
    from single_versions
    union all
    select
        *,
        min(known_at) over (partition by order_id, line_number, customer_id, product_id) as first_known_at
    from repeated_versions
    -- Versions of a line and of its order belong together where their times overlap.
    where known_at < coalesce(known_until, timestamp 'infinity')
),

known as (
    select
        purchases.order_id,
        purchases.line_number,
        purchases.customer_id,
        purchases.product_id,
        product_versions.category,
        product_versions.is_own_brand,
        purchases.ordered_date,
        purchases.quantity,
        purchases.list_amount_cents,
        purchases.discount_amount_cents,
        purchases.net_amount_cents,
        purchases.known_at,
        purchases.known_until
    from purchases
    inner join product_versions
        on
            purchases.product_id = product_versions.product_id
            and purchases.first_known_at >= product_versions.known_at
            and (product_versions.known_until is null or purchases.first_known_at < product_versions.known_until)
),

signed as (
    {{ signed("known", columns) }}
)

{{ appended("signed", columns, "order_id", "touched") }}
