-- Six weeks of mails: what pleases changes, and a plan's facts are long. A fortnight more, for mails sent late.
select *
from {{ published_earlier("campaign_plan", {
    "send_id": "varchar", "campaign_id": "varchar", "customer_id": "varchar", "verdict": "varchar", "facts": "varchar",
}, 56) }}
where verdict = 'planned'
