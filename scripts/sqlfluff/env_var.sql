{#- A stand-in for dbt's env_var, which sqlfluff does not bring: the linter sees the default. -#}
{% macro env_var(name, default="") %}{{ default }}{% endmacro %}
