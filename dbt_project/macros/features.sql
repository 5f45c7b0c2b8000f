{#- A count of a group of activities: null as long as the shop does not bring the group, else 0 where there is none. -#}
{% macro zero_where_brought(group, column) -%}
    case when capabilities.has_{{ group }} then coalesce({{ column }}, 0) end
{%- endmacro %}
