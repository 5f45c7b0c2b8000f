-- What a customer did besides ordering, per kind, UTC day and day it became known.
select
    customer_id,
    kind,
    happened_date,
    known_date,
    sum(weight)::bigint as activity_count,
    sum(weight * value)::bigint as value,
    max(load_number) as load_number
from {{ ref("int_activities_changed") }}
where load_number > {{ seen() }}
group by customer_id, kind, happened_date, known_date
{{ by_customer() }}
