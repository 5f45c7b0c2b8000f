{#-
    Measures: what features are made of, one row per customer and day features are asked for. They hold days, not ages,
    so that a customer to whom nothing happens keeps the measures of yesterday.

    When one day is asked for and the measures of some day stand there already, only customers who are *due* are
    measured again: something of theirs became known in between or since, or a day of theirs left a window. The others
    keep their row.
-#}

{#- True when this model can go on from the rows it has. -#}
{% macro goes_on() -%}
    {{ return(
        execute and feature_days() | length == 1 and not should_full_refresh() and load_relation(this) is not none
    ) }}
{%- endmacro %}

{#- The common table expressions that say who is due, with a comma behind; nothing where everybody is.
    `rollups`: each with its column of days and the ages in days at which a measure stops or starts to count a day. -#}
{% macro with_due(rollups) -%}
    {%- if goes_on() -%}
    {%- set day = "date '" ~ feature_days()[0] ~ "'" -%}
    before as (
        select
            coalesce(max(as_of_date), date '0001-01-01') as as_of_date,
            coalesce(max(load_number), 0) as load_number
        from {{ this }}
    ),

    -- By way of a list, which the planner takes for short: else it hashes the rollup, to find the few in it.
    due as (
        select unnest(list(distinct customer_id)) as customer_id
        from (
        {%- for rollup, column, ages in rollups %}
        select rollup.customer_id
        from {{ rollup }} as rollup
        cross join before
        where
            rollup.load_number > before.load_number
            or rollup.known_date >= least(before.as_of_date, {{ day }})
            {%- for age in ages %}
            or (
                rollup.{{ column }} >= least(before.as_of_date, {{ day }}) - {{ age }}
                and rollup.{{ column }} < greatest(before.as_of_date, {{ day }}) - {{ age }}
            )
            {%- endfor %}
        {% if not loop.last %}union all{% endif %}
        {%- endfor %}
        ) as changed
    ),
    {%- endif -%}
{%- endmacro %}

{#- The rows of customers who are not due, as they stand, behind the query that measures the others. -#}
{% macro and_as_before() -%}
    {%- if goes_on() -%}
    union all
    select * replace (date '{{ feature_days()[0] }}' as as_of_date, {{ newest_load() }} as load_number)
    from {{ this }}
    where as_of_date = (select before.as_of_date from before) and customer_id not in (from due)
    {%- endif -%}
{%- endmacro %}

{#- Rows of a rollup known before each day that features are asked for, with the day as `as_of_date`; where the model
    goes on, of the customers who are due. One scan per day with the date written out: a join on "before" would sort
    the whole rollup. `back`: a column of days and how many days before that day it must lie at most. -#}
{% macro known_before_feature_days(rollup, back=none) -%}
    (
        {%- for day in feature_days() %}
        select *, date '{{ day }}' as as_of_date
        from {{ rollup }}
        where
            known_date < date '{{ day }}'
            {% if back %} and {{ back[0] }} >= date '{{ day }}' - {{ back[1] }} {% endif %}
            {% if goes_on() %} and customer_id in (from due) {% endif %}
        {%- if not loop.last %} union all{% endif %}
        {%- endfor %}
    )
{%- endmacro %}

{#- Days of a rollup that counts things in `count`, known before each day that features are asked for; nearly one row per
    customer and day: a day whose rows became known on several days keeps a row for each, because sums and smallest and
    largest days are the same. Only customers with a correction are added up, so that what was moved or cancelled
    leaves no day behind. -#}
{% macro days_known(rollup, key, count, sums, back=none) -%}
    (
        with corrected as (
            select unnest(list(distinct customer_id)) as customer_id
            from {{ rollup }}
            where {{ count }} <= 0 {% if goes_on() %} and customer_id in (from due) {% endif %}
        )

        select customer_id, as_of_date, {{ (key + [count] + sums) | join(", ") }}
        from {{ known_before_feature_days(rollup, back) }} as known_rows
        where customer_id not in (from corrected)
        union all
        select
            customer_id, as_of_date, {{ key | join(", ") }},
            {%- for column in [count] + sums %}
            sum({{ column }})::bigint as {{ column }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        from {{ known_before_feature_days(rollup, back) }} as known_rows
        where customer_id in (from corrected)
        group by customer_id, as_of_date, {{ key | join(", ") }}
        having sum({{ count }}) <> 0
    )
{%- endmacro %}
