{{ config(materialized = "measures_appended", database = target.database) }}

-- All measures side by side: one row per customer and day features are asked for; where a build goes on from the ones
-- that stand, one per customer of whom something was measured. What was measured takes the place of what stood, and
-- sums are added to. The first version is 0; of several days only the last has one: from no other a build goes on.
{% set sums = [ref("int_orders_measured"), ref("int_assortments_measured")] %}
{% set others = [
    ref("int_hours_measured"), ref("int_gaps_measured"), ref("int_tastes_measured"), ref("int_activities_measured"),
    ref("int_carts_measured"),
] %}

{% if goes_on() %}
{{ require_measures(sums + others) }}
-- noqa: disable=RF02
-- What was measured is put together before it meets what stood: that has many columns, and each join would carry them on.
with measured as (
    select
        customer_id,
        {% for model in others %}
        {{ model.identifier }}.customer_id is not null as is_in_{{ model.identifier }},
        {% endfor %}
        {% for model in sums + others %}
        {% set last_model = loop.last %}
        {% for name in measures_in(model) %}
        {{ model.identifier }}.{{ name }}{% if not (last_model and loop.last) %},{% endif %}

        {% endfor %}
        {% endfor %}
    from {{ sums[0] }} as {{ sums[0].identifier }}
    {% for model in sums[1:] + others %}
    full outer join {{ model }} as {{ model.identifier }} using (customer_id)
    {% endfor %}
)

select
    customer_id,
    date '{{ feature_days()[0] }}' as as_of_date,
    {% for model in sums %}
    {% for name in measures_in(model) %}
    coalesce(stood.{{ name }}, 0) + coalesce(measured.{{ name }}, 0) as {{ name }},
    {% endfor %}
    {% endfor %}
    {% for model in others %}
    {% for name in measures_in(model) %}
    case when measured.is_in_{{ model.identifier }} then measured.{{ name }} else stood.{{ name }} end as {{ name }},
    {% endfor %}
    {% endfor %}
    {{ newest_load() }} as load_number,
    {% if appends() %} (select coalesce(max(version) + 1, 0) from {{ this }}) {% else %} 0 {% endif %}::integer as version
from measured
{{ "left" if appends() else "full outer" }} join {{ newest_measures(this) }} as stood using (customer_id)
-- noqa: enable=RF02
{% else %}
-- noqa: disable=RF02,ST07
-- Every model has the same key, and no other column stands in two of them.
select
    *,
    {{ newest_load() }} as load_number,
    case when as_of_date = date '{{ feature_days() | max }}' then 0 end::integer as version
from {{ sums[0] }}
{% for model in sums[1:] + others %}
full outer join {{ model }} using (customer_id, as_of_date)
{% endfor %}
-- noqa: enable=RF02,ST07
{% endif %}
