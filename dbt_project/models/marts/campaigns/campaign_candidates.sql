-- Which audiences take part is asked by an environment variable: a new campaign needs no change here.
select
    null::varchar as campaign_id,
    null::integer as step,
    null::varchar as customer_id,
    null::date as as_of_date,
    null::double as rank_score,
    null::bigint as product_count,
    null::varchar as facts,
    null::varchar as evidence
where false
{% for campaign_id in env_var("LAPWING_CAMPAIGNS", "").split(",") if campaign_id %}
union all
select
    '{{ campaign_id }}' as campaign_id,
    step,
    customer_id,
    {{ as_of_date() }} as as_of_date,
    rank_score::double as rank_score,
    product_count,
    facts,
    evidence
from {{ ref("audience_" ~ campaign_id) }}
{% endfor %}
