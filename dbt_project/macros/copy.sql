{#- Slots of a mail for which there may be candidates, in the order in which a reader meets them. -#}
{% macro copy_slots() -%}
    {{ return(["subject", "preheader", "headline", "lead", "call_to_action"]) }}
{%- endmacro %}

{#- How far a customer's shares of categories are from those of the products that a candidate speaks of: the Kullback–Leibler
    divergence sum of p ln(p / q), in nats. `named` is the list of those products' categories. Of q, `copy_smoothing` is the
    shop's own shares, so q is above 0 wherever p is, and the divergence finite: at most -ln(copy_smoothing) more than that from
    the shop. Of a customer: `categories` bought, their `shares` (p), the shop's shares of them, and `from_nothing`, the divergence
    from a q that has nothing but the smoothing; what the candidate speaks of is then put right, a few terms.
    Source: Kullback & Leibler, "On Information and Sufficiency", 1951, eq. 2.4. -#}
{% macro divergence(categories, shares, shop_shares, from_nothing, named, smoothing) -%}
    {{ from_nothing }} - list_sum(list_transform(
        list_filter(list_distinct({{ named }}), lambda category: list_contains({{ categories }}, category)),
        lambda category: {{ shares }}[list_position({{ categories }}, category)] * ln(
            1 + (1 - {{ smoothing }}) / {{ smoothing }}
            * len(list_filter({{ named }}, lambda each: each = category)) / len({{ named }})
            / {{ shop_shares }}[list_position({{ categories }}, category)]
        )
    ) || [0])
{%- endmacro %}

{#- Of the columns `<name>_all`, `<name>_first` and `<name>_second` that of the products a candidate speaks of. -#}
{% macro of_products(name, about) -%}
    case {{ about }} when 'first' then {{ name }}_first when 'second' then {{ name }}_second else {{ name }}_all end
{%- endmacro %}

{#- The draw among candidates with these weights: the probability of each. One in so many is drawn evenly, so that each is seen
    and what it brings can be weighed by it. -#}
{% macro propensities(weights, even_share) -%}
    list_transform(
        {{ weights }},
        lambda weight: (1 - {{ even_share }}) * weight / list_sum({{ weights }}) + {{ even_share }} / len({{ weights }})
    )
{%- endmacro %}

{#- Which place of a list of probabilities a number in [0, 1) falls on. -#}
{% macro place_of(draw, propensities) -%}
    1 + len(list_filter(
        range(1, len({{ propensities }})), lambda place: list_sum({{ propensities }}[:place]) <= {{ draw }}
    ))
{%- endmacro %}
