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

{#- In how many of the last 12 weeks an order lies. Seven copies on top of each other, each shifted by a day more, say of every day
    whether it or one of the 6 before it had an order; then the youngest day of each week answers for its week. -#}
{% macro active_weeks() -%}
    {%- set youngest_days = namespace(bits=0) -%}
    {%- for day in range(1, 84, 7) -%} {%- set youngest_days.bits = youngest_days.bits + 2 ** day -%} {%- endfor -%}
    bit_count(
        (
            {%- for days in range(7) -%}
            (measured.order_ages_bits >> {{ days }}){% if not loop.last %} | {% endif %}
            {%- endfor -%}
        ) & {{ youngest_days.bits }}::hugeint
    )
{%- endmacro %}
