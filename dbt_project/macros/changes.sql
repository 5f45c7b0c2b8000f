{#-
    Changes: a table of signed rows, to which every build appends and from which nothing is ever taken.

    What became known on a UTC day stands there with weight 1; from the day on which a newer version replaced it, also
    with weight -1. So the sum of the weights of all rows with `known_date` before D is what was known at 00:00 UTC of
    D, for every D, past ones too; sums of them (rollups) can be appended to in the same way. A file that lands late
    but speaks of earlier days adds rows for those days, and takes back by further rows what it proves wrong.
-#}

{#- The number of the newest file that has been loaded: what a build has seen. -#}
{% macro newest_load() -%}
    (select coalesce(max(load_number), 0) from {{ source("landing", "files") }})
{%- endmacro %}

{#- The newest file that this model had seen when it was last built; 0 before its first build. -#}
{% macro seen() -%}
    {%- if stands() -%} (select coalesce(max(load_number), 0) from {{ this }}) {%- else -%} 0 {%- endif -%}
{%- endmacro %}

{#- Rows of a relation with `known_until`, when a newer version of the same row became known; null for the newest.
    Nearly every id has one row, and only the others are sorted: 50 million sorted rows do not fit into memory. -#}
{% macro versions(relation, id) -%}
    with repeated as (
        select {{ id }}
        from {{ relation }}
        group by {{ id }}
        having count(*) > 1
    )

    select
        *,
        null::timestamp as known_until
    from {{ relation }}
    where {{ id }} not in (from repeated)
    union all
    select
        *,
        {{ known_until(id) }} as known_until
    from {{ relation }}
    where {{ id }} in (from repeated)
{%- endmacro %}

{#- Signed rows of a relation whose rows are valid from `known_at` until `known_until` (null: until further notice).
    A version that lived for less than a day's end never counted. -#}
{% macro signed(versions, columns) -%}
    select
        {{ columns | join(", ") }},
        (case sides.weight when 1 then known_at else known_until end)::date as known_date,
        sides.weight
    from {{ versions }} cross join (values (1), (-1)) as sides(weight)
    where
        (known_until is null or known_until::date > known_at::date)
        and (sides.weight = 1 or known_until is not null)
{%- endmacro %}

{#- Ends a rollup: in the order of customers, a tenth of them is read in a third of the time, and sums per customer are
    quicker by more than the sorting takes. -#}
{% macro by_customer() -%}
    order by customer_id
{%- endmacro %}

{#- What to append: on a first build the signed rows; later the difference between them and what stands there already
    for the keys that were touched. -#}
{% macro appended(signed, columns, key, touched) -%}
    {% if stands() -%}
    select
        {{ columns | join(", ") }},
        known_date,
        sum(weight)::bigint as weight,
        {{ newest_load() }} as load_number
    from (
        select {{ columns | join(", ") }}, known_date, weight from {{ signed }}
        union all
        select {{ columns | join(", ") }}, known_date, -weight as weight
        from {{ this }}
        where ({{ key }}) in (from {{ touched }})
    ) as difference
    group by all
    having sum(weight) <> 0
    {%- else -%}
    select
        {{ columns | join(", ") }},
        known_date,
        weight::bigint as weight,
        {{ newest_load() }} as load_number
    from {{ signed }}
    {%- endif %}
{%- endmacro %}

{#- Ids of which we learnt now that they were known earlier than we thought, or at all. -#}
{% macro known_sooner(relation, id) -%}
    select {{ id }}
    from {{ relation }}
    where {{ id }} in (select newer.{{ id }} from {{ relation }} as newer where newer.load_number > {{ seen() }})
    group by {{ id }}
    having
        min(load_number) > {{ seen() }}
        or min(known_at) filter (load_number > {{ seen() }}) < min(known_at) filter (load_number <= {{ seen() }})
{%- endmacro %}

{#- Since when anything is known of an id. -#}
{% macro first_known(relation, id) -%}
    select
        {{ id }},
        min(known_at) as first_known_at
    from {{ relation }}
    group by {{ id }}
{%- endmacro %}

{#- The different ids of a relation, to be followed by it, by way of a list, which the planner takes for short: else it
    hashes the large table, to find the few in it. -#}
{% macro few(id) -%}
    select unnest(list(distinct {{ id }})) as {{ id }}
    from
{%- endmacro %}

{#- Orders that new rows of orders or customers may change. -#}
{% macro touched_orders() -%}
    -- Two queries, not an "or": each reads only the blocks that can hold such rows.
    select order_id
    from {{ ref("stg_shop__orders") }}
    where load_number > {{ seen() }}
    union
    select order_id
    from {{ ref("stg_shop__orders") }}
    where customer_id in ({{ known_sooner(ref("stg_shop__customers"), "customer_id") }})
{%- endmacro %}

{#- Appearances of products in a customer's purchases, and their disappearances when the last of them is taken back:
    rows of customer_id, known_date, appeared_date, appeared (1 or -1). -#}
{% macro appearances(rows) -%}
    select
        customer_id,
        known_date,
        -- A disappearance takes back the appearance before it, on that one's day.
        max(case when total > 0 then known_date end) over (
            partition by customer_id, product_id order by known_date
        ) as appeared_date,
        (total > 0)::integer - (before > 0)::integer as appeared
    from (
        select
            customer_id,
            product_id,
            known_date,
            sum(line_count) over pair as total,
            coalesce(sum(line_count) over (pair rows between unbounded preceding and 1 preceding), 0) as before
        from (
            select
                customer_id,
                product_id,
                known_date,
                sum(line_count) as line_count
            from {{ rows }} as rows_of_pairs
            group by all
        ) as days
        window pair as (partition by customer_id, product_id order by known_date)
    ) as running
    where (total > 0) <> (before > 0)
{%- endmacro %}

{#- The days on which each customer placed an order that counts, and what they paid for it, as known by the day of the run. -#}
{% macro ordered_days() -%}
    select
        customer_id,
        ordered_date,
        sum(net_amount_cents)::bigint as net_amount_cents
    from {{ ref("int_customer_days_rolled") }}
    where known_date < {{ as_of_date() }}
    group by customer_id, ordered_date
    having sum(order_count) > 0
{%- endmacro %}
