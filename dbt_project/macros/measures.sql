{#-
    Measures: what features are made of, one row per customer and day features are asked for. They hold days, not ages,
    so that a customer to whom nothing happens keeps the measures of yesterday.

    When one day is asked for and the measures of some day stand in `int_customers_measured` already, a build goes on from
    them: each model measures only customers whose measures may differ, and `int_customers_measured` appends their rows as
    its next `version`. Of each customer the newest row counts, for the day of the newest version. Of sums it is given what
    they gain and lose: what counts for one of the two days only. Where a measure is no
    sum, customers who are *due* are measured again: something of theirs became known in between or since, or a day of
    theirs left a window.
-#}

{#- The table that a build of one day goes on from. No ref(): the models it is made of read what it was before. -#}
{% macro standing_measures() -%}
    {{ return(this.incorporate(path={"database": target.database, "identifier": "int_customers_measured"})) }}
{%- endmacro %}

{#- True when a build can go on from the measures that stand. -#}
{% macro goes_on() -%}
    {{ return(
        execute and feature_days() | length == 1 and not should_full_refresh()
        and load_relation(standing_measures()) is not none
    ) }}
{%- endmacro %}

{#- True when what was measured is appended. Else the table is written whole: without measures to go on from, or with more
    than 1.5 rows per customer, of which a reader would pass over too many. -#}
{% macro appends() -%}
    {%- if not goes_on() -%} {{ return(false) }} {%- endif -%}
    {%- set kept = run_query(
        "select count(*) <= 1.5 * count(*) filter (version = 0) from " ~ standing_measures()
    ) -%}
    {{ return(kept.columns[0].values()[0]) }}
{%- endmacro %}

{#- Of each customer the newest row, for the day that features are asked for; of several days, which are measured anew, all. -#}
{% macro newest_measures(table) -%}
    {%- if feature_days() | length > 1 -%} {{ table }} {%- else -%}
    (
        select versions.* replace (date '{{ feature_days()[0] }}' as as_of_date)
        from {{ table }} as versions
        left join (
            select
                customer_id,
                max(version) as version
            from {{ table }}
            where version > 0
            group by customer_id
        ) as later on versions.customer_id = later.customer_id
        where versions.version = coalesce(later.version, 0)
    )
    {%- endif -%}
{%- endmacro %}

{#- The common table expression of where a build goes on from: the day and the newest file of the measures that stand;
    without any, the day itself with no file seen. -#}
{% macro before() -%}
    before as (
        select
            coalesce(max(as_of_date), date '{{ feature_days()[0] }}') as as_of_date,
            coalesce(max(load_number), 0) as load_number
        from {{ standing_measures() }}
        where version = (select max(version) from {{ standing_measures() }})
    )
{%- endmacro %}

{#- The rows of `rollup` that may count differently for the day than they did `before`: they became known since, or in
    between, or their `column` of days reached one of the `ages` at which a measure stops or starts to count it. Three
    queries, not an "or": the first two read only the blocks that can hold such rows. -#}
{% macro counting_anew(rollup, column, ages) -%}
    {%- set day = "date '" ~ feature_days()[0] ~ "'" -%}
    {%- set seen = "(select before.load_number from before)" -%}
    {%- set earlier = "(select least(before.as_of_date, " ~ day ~ ") from before)" -%}
    select *
    from {{ rollup }}
    where load_number > {{ seen }}
    union all
    select *
    from {{ rollup }}
    where load_number <= {{ seen }} and known_date >= {{ earlier }}
    {%- if ages %}
    union all
    select *
    from {{ rollup }}
    where
        load_number <= {{ seen }}
        and known_date < {{ earlier }}
        and {{ column }} in (
            select between_them.moment::date - windows.age
            from before
            cross join unnest(
                range(
                    least(before.as_of_date, {{ day }})::timestamp,
                    greatest(before.as_of_date, {{ day }})::timestamp,
                    interval 1 day
                )
            ) as between_them (moment)
            cross join (values ({{ ages | join("), (") }})) as windows (age)
        )
    {%- endif %}
{%- endmacro %}

{#- The common table expressions that say who is due, with a comma behind; nothing where everybody is.
    `rollups`: each with its column of days and the ages in days at which a measure stops or starts to count a day. -#}
{% macro with_due(rollups) -%}
    {%- if goes_on() -%}
    {{ before() }},

    due as (
        {{ few("customer_id") }} (
        {%- for rollup, column, ages in rollups %}
        select rows_anew.customer_id
        from (
            {{ counting_anew(rollup, column, ages) }}
        ) as rows_anew
        {% if not loop.last %}union all{% endif %}
        {%- endfor %}
        ) as changed
    ),
    {%- endif -%}
{%- endmacro %}

{#- A whole measure of sums per customer; where the build goes on, what is to be added to those that stand. `sums`: for each
    name what is summed, and of which rows; `age_days` is the age of `column` on the day, and `ages` are those at which a
    row starts or stops to count. Corrections are rows with a minus, so that what was taken back leaves nothing behind. -#}
{% macro summed(rollup, column, ages, sums) -%}
    {%- if not goes_on() %}
    select
        customer_id,
        as_of_date,
        {%- for name, (value, counts) in sums.items() %}
        coalesce(sum({{ value }}) filter ({{ counts }}), 0)::bigint as {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from (
        select *, (as_of_date - {{ column }})::integer as age_days
        from {{ known_before_feature_days(rollup) }} as known_rows
    ) as aged
    group by customer_id, as_of_date
    {%- else %}
    with {{ before() }},

    -- Few rows, scattered: put together first, or each block of the rollup would be added up by itself.
    anew as materialized (
        {{ counting_anew(rollup, column, ages) }}
    ),

    sides as (
        select date '{{ feature_days()[0] }}' as as_of_date, {{ newest_load() }} as load_number, 1 as sign
        union all
        select as_of_date, load_number, -1 as sign
        from before
    )

    select
        customer_id,
        {%- for name, (value, counts) in sums.items() %}
        coalesce(sum(sign * {{ value }}) filter ({{ counts }}), 0)::bigint as {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from (
        select anew.*, sides.sign, (sides.as_of_date - anew.{{ column }})::integer as age_days
        from anew
        inner join sides on anew.known_date < sides.as_of_date and anew.load_number <= sides.load_number
    ) as aged
    group by customer_id
    {%- endif %}
{%- endmacro %}

{#- Ends a measure that is no sum: where the build goes on, every customer who is due, also those of whom nothing is left. -#}
{% macro whoever_is_due(measured) -%}
    {%- if goes_on() -%}
    select *
    from due
    left join {{ measured }} using (customer_id)
    {%- else -%}
    select * from {{ measured }}
    {%- endif -%}
{%- endmacro %}

{#- The names of what a model measures. -#}
{% macro measures_in(model) -%}
    {{ return(
        adapter.get_columns_in_relation(model)
        | map(attribute="name") | reject("in", ["customer_id", "as_of_date"]) | list
    ) }}
{%- endmacro %}

{#- Stops the model where the measures that stand were made by an earlier version, of which some were unknown. -#}
{% macro require_measures(models) -%}
    {%- set brought = [] -%}
    {%- for model in models -%} {%- do brought.extend(measures_in(model)) -%} {%- endfor -%}
    {%- do require_columns(
        standing_measures(), brought + ["customer_id", "as_of_date", "load_number", "version"]
    ) -%}
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
            {{ few("customer_id") }} {{ rollup }}
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
