select
    customer_id,
    purpose,
    is_given,
    proof,
    decided_at,
    known_at
from {{ source("landing", "consents") }}
