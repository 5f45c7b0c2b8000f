{#- A table that another part has published for the day of the run. The file is named here and not as the source's
    `external_location`, because dbt settles that when it parses, and a parsed project serves every day. -#}
{% macro published(table) -%}
    {%- do source("published", table) -%}
    read_parquet(
        '{{ var("published") }}/{{ table }}/as_of_date={{ var("as_of_date") }}/part-0.parquet', hive_partitioning = false
    )
{%- endmacro %}
