-- Six weeks of mails: what pleases changes, and a plan's facts are long. A fortnight more, for mails sent late.
select *
from {{ published_earlier("campaign_plan", ["send_id", "campaign_id", "customer_id", "verdict", "facts"], 56) }}
where verdict = 'planned'
