-- What the mails of four weeks before the day said; plans of before there was a choice have none.
select *
from {{ published_earlier("campaign_plan", {
    "send_id": "varchar", "campaign_id": "varchar", "step": "integer", "verdict": "varchar",
    "copy": "struct(slot varchar, candidate_id varchar, origin varchar, propensity double, divergence double, response double)[]",
}, 28) }}
where verdict = 'planned' and copy is not null
