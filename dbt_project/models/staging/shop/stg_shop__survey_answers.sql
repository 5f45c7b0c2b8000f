select
    answer_id,
    customer_id,
    survey,
    score,
    answered_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "survey_answers") }}
