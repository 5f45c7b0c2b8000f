{#- Stand-ins for what sqlfluff does not bring. The linter sees the default of a variable, and a table that stands. -#}
{% macro env_var(name, default="") %}{{ default }}{% endmacro %}
{% macro stands() %}{{ return(true) }}{% endmacro %}
