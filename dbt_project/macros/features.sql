{#- A count of a group of activities: null as long as the shop does not bring the group, else 0 where there is none. -#}
{% macro zero_where_brought(group, column) -%}
    case when capabilities.has_{{ group }} then coalesce({{ column }}, 0) end
{%- endmacro %}

{#- The last 84 days as bits: bit n is set where an order is n days old. `order_days_bits` counts from the last order. -#}
{% macro order_ages_bits() -%}
    {%- set shift = "least(greatest(recency_days, 0), 85)::integer" -%}
    (
        (order_days_bits >> least(greatest(-recency_days, 0), 126)::integer)
        & ((1::hugeint << (85 - {{ shift }})) - 1)
    ) << {{ shift }}
{%- endmacro %}

{#- Those of them of ages `youngest` to `oldest`. -#}
{% macro order_days(youngest, oldest) -%}
    (measured.order_ages_bits & {{ 2 ** (oldest + 1) - 2 ** youngest }}::hugeint)
{%- endmacro %}
