{#- A table of many days, of which a build replaces those that features are asked for. dbt's own "delete+insert" writes
    a temporary table and copies it; a day of a large shop is a gigabyte, so here it is written once. The
    contract is compared with the query, and with the columns of the table that stands. -#}
{% materialization days_replaced, adapter="duckdb" %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set standing = load_cached_relation(this) -%}
    {%- set anew = standing is none or should_full_refresh() -%}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- if anew -%}
        {%- do drop_relation_if_exists(standing) -%}
        {%- call statement("main") -%} {{ create_table_as(false, target, compiled_code) }} {%- endcall -%}
    {%- else -%}
        {%- do get_assert_columns_equivalent(compiled_code) -%}
        {%- do require_columns(standing, model.columns | list) -%}
        {%- call statement("main") -%}
            delete from {{ target }} where as_of_date in (date '{{ feature_days() | join("', date '") }}');
            insert into {{ target }} by name {{ compiled_code }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}

{#- A table to which builds append, and from which nothing is ever taken; the first build makes it. dbt's own "incremental"
    writes a temporary table and copies it. -#}
{% materialization appended, adapter="duckdb" %}
    {{ return(_appended(stands())) }}
{% endmaterialization %}

{#- The same of versions: now and then a build writes the table whole (macros/measures.sql says when). -#}
{% materialization measures_appended, adapter="duckdb" %}
    {{ return(_appended(appends())) }}
{% endmaterialization %}

{% macro _appended(goes_on) %}
    {%- set target = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- if goes_on -%}
        {%- do require_columns(target, get_columns_in_query(compiled_code) | list) -%}
        {%- call statement("main") -%} insert into {{ target }} by name {{ compiled_code }} {%- endcall -%}
    {%- else -%}
        {%- call statement("main") -%} create or replace table {{ target }} as {{ compiled_code }} {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [target]}) }}
{% endmacro %}

{#- True when a build has made this table before, and no `--full-refresh` was asked for. -#}
{% macro stands() -%}
    {{ return(execute and not should_full_refresh() and load_cached_relation(this) is not none) }}
{%- endmacro %}

{#- A view, replaced by one statement: dbt's own makes it under another name and renames both. -#}
{% materialization view, adapter="duckdb" %}
    {%- set target = this.incorporate(type="view") -%}
    {%- set standing = load_cached_relation(this) -%}
    {%- if standing is not none and not standing.is_view -%}
        {%- do drop_relation_if_exists(standing) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=true) }}
    {%- call statement("main") -%} create or replace view {{ target }} as {{ compiled_code }} {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=true) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}

{#- Stops the model unless the table that stands has the columns `promised`: those of older rows would be missing. -#}
{% macro require_columns(standing, promised) -%}
    {%- set has = adapter.get_columns_in_relation(standing) | map(attribute="name") | sort -%}
    {%- if has != promised | sort -%}
        {%- do exceptions.raise_compiler_error(
            standing ~ " has not the columns of its model, which another release made: drop it, as"
            ~ " docs/runbooks/features.md says, and build again"
        ) -%}
    {%- endif -%}
{%- endmacro %}
