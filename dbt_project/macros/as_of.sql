{#- The day of the run, as a date. -#}
{% macro as_of_date() -%}
    date '{{ var("as_of_date") }}'
{%- endmacro %}

{#- The moment of a run within the day, UTC, as a timestamp: what was known before it. -#}
{% macro moment() -%}
    timestamp '{{ var("moment") }}'
{%- endmacro %}

{#- The days to compute features for, as a list of text: those asked for, or the day of the run alone. -#}
{% macro feature_days() -%}
    {{ return((env_var("LAPWING_FEATURE_DATES", "") or var("as_of_date")).split(",")) }}
{%- endmacro %}

{#- A one-column table of those days. -#}
{% macro feature_dates() -%}
    (
        {%- for day in feature_days() %}
        select date '{{ day }}' as as_of_date
        {%- if not loop.last %} union all{% endif %}
        {%- endfor %}
    )
{%- endmacro %}

{#- True for the version of a row that counted at 00:00 UTC of `day`: known by then, not yet replaced. -#}
{% macro known_at_day(row, day) -%}
    {{ row }}.known_at < {{ day }} and ({{ row }}.known_until is null or {{ row }}.known_until >= {{ day }})
{%- endmacro %}

{#- When a newer version of the row with the same key became known; null for the newest. -#}
{% macro known_until(key) -%}
    lead(known_at) over (partition by {{ key }} order by known_at, source_file, source_row)
{%- endmacro %}

{#- A relation with that beside its rows. Not in the staging view: it would be sorted out for every reader, wanted or not. -#}
{% macro with_known_until(relation, key) -%}
    (
        select
            *,
            {{ known_until(key) }} as known_until
        from {{ relation }}
    )
{%- endmacro %}
