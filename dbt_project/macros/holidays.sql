{#- Holidays with the languages in which most readers keep them. Lunar New Year is that of the Chinese calendar; the end of
    Ramadan as computed, from which a country that looks for the moon may differ by a day. -#}
{% macro holidays() -%}
    {%- set lunar_new_year = [
        "2017-01-28", "2018-02-16", "2019-02-05", "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10",
        "2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26", "2029-02-13", "2030-02-03",
    ] -%}
    {%- set eid = [
        "2017-06-25", "2018-06-15", "2019-06-04", "2020-05-24", "2021-05-13", "2022-05-02", "2023-04-21", "2024-04-10",
        "2025-03-30", "2026-03-20", "2027-03-09", "2028-02-26", "2029-02-14", "2030-02-04",
    ] -%}
    (
        select
            'christmas' as occasion,
            ['en', 'de', 'fr', 'es'] as languages,
            make_date(year({{ as_of_date() }}), 12, 24) as holiday_date
        union all
        select
            'new_year' as occasion,
            ['en', 'de', 'fr', 'es', 'ja'] as languages,
            make_date(year({{ as_of_date() }}), 1, 1) as holiday_date
        {%- for day in lunar_new_year %}
        union all
        select 'lunar_new_year' as occasion, ['zh'] as languages, date '{{ day }}' as holiday_date
        {%- endfor %}
        {%- for day in eid %}
        union all
        select 'eid' as occasion, ['ar'] as languages, date '{{ day }}' as holiday_date
        {%- endfor %}
    )
{%- endmacro %}
