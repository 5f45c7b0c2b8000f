{#- A count of a group of activities: null as long as the shop does not bring the group, else 0 where there is none. -#}
{% macro zero_where_brought(group, column) -%}
    case when capabilities.has_{{ group }} then coalesce({{ column }}, 0) end
{%- endmacro %}

{#- The days with an order of ages `youngest` to `oldest`, as bits. `order_days_bits` counts from the last order, which lies
    `recency_days` back. -#}
{% macro order_days(youngest, oldest) -%}
    (
        (measured.order_days_bits >> greatest({{ youngest }} - measured.recency_days, 0)::integer)
        & ((1::hugeint << greatest(
            least({{ oldest }} - measured.recency_days, {{ oldest - youngest }}) + 1, 0
        )::integer) - 1)
    )
{%- endmacro %}
