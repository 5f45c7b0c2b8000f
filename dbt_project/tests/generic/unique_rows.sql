{#- No two rows share the columns' values, and none of them is null. Of a mart that keeps many days, `day_column` restricts it
    to the days that features are asked for: the others were looked at when they were built. -#}
{% test unique_rows(model, columns, day_column=none) %}
    select {{ columns | join(", ") }}
    from {{ model }}
    {% if day_column %} where {{ day_column }} in (date '{{ feature_days() | join("', date '") }}') {% endif %}
    group by {{ columns | join(", ") }}
    having count(*) > 1 or {% for column in columns %}{{ column }} is null{% if not loop.last %} or {% endif %}{% endfor %}
{% endtest %}
