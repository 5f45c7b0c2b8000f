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
with measured as (
    {% for model in sums + others %}
    select customer_id from {{ model }}
    {% if not loop.last %}union{% endif %}
    {% endfor %}
),

stood as (
    select *
    from {{ newest_measures(this) }} as newest
    {% if appends() %} where customer_id in (from measured) {% endif %}
    union all by name
    select customer_id
    from measured
    where customer_id not in (select this.customer_id from {{ this }} as this where this.version is not null)
)

select
    stood.customer_id,
    date '{{ feature_days()[0] }}' as as_of_date,
    {% for model in sums %}
    {% for name in measures_in(model) %}
    coalesce(stood.{{ name }}, 0) + coalesce({{ model.identifier }}.{{ name }}, 0) as {{ name }},
    {% endfor %}
    {% endfor %}
    {% for model in others %}
    {% for name in measures_in(model) %}
    case
        when {{ model.identifier }}.customer_id is null then stood.{{ name }} else {{ model.identifier }}.{{ name }}
    end as {{ name }},
    {% endfor %}
    {% endfor %}
    {{ newest_load() }} as load_number,
    {% if appends() %} (select coalesce(max(version) + 1, 0) from {{ this }}) {% else %} 0 {% endif %}::integer as version
from stood
{% for model in sums + others %}
left join {{ model }} as {{ model.identifier }} on stood.customer_id = {{ model.identifier }}.customer_id
{% endfor %}
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
