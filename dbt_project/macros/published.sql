{#- A table that another part has published for the day of the run. The file is named here and not as the source's
    `external_location`, because dbt settles that when it parses, and a parsed project serves every day. -#}
{% macro published(table) -%}
    {%- do source("published", table) -%}
    read_parquet(
        '{{ var("published") }}/{{ table }}/as_of_date={{ var("as_of_date") }}/part-0.parquet', hive_partitioning = false
    )
{%- endmacro %}

{#- Columns (name → type) of a table that another part has published for earlier days, the last `days` of them. Days on which it
    did not have them all are left out; before the first there is no file, and a reader of no file fails. -#}
{% macro published_earlier(table, columns, days) -%}
    {%- do source("published", table) -%}
    {%- set files -%}
        select file
        from glob('{{ var("published") }}/{{ table }}/as_of_date=*/part-0.parquet')
        where
            regexp_extract(file, 'as_of_date=([0-9-]+)', 1)::date >= {{ as_of_date() }} - {{ days }}
            and regexp_extract(file, 'as_of_date=([0-9-]+)', 1)::date < {{ as_of_date() }}
        order by file
    {%- endset -%}
    {%- set found = run_query(files).columns[0].values() if execute else [] -%}
    {%- set whole -%}
        select file_name
        from parquet_schema(['{{ found | join("', '") }}'])
        where name in ('{{ columns | join("', '") }}')
        group by file_name
        having count(distinct name) = {{ columns | length }}
        order by file_name
    {%- endset -%}
    {%- set found = run_query(whole).columns[0].values() if found else [] -%}
    {%- if found -%}
    (select {{ columns | join(", ") }} from read_parquet(['{{ found | join("', '") }}'], hive_partitioning = false))
    {%- else -%}
    (
        select
            {%- for name, type in columns.items() %}
            null::{{ type }} as {{ name }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        where false
    )
    {%- endif -%}
{%- endmacro %}
