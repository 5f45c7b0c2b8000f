select
    customer_id,
    email as address,
    nullif(first_name, '') as first_name,
    locale,
    country_code,
    birth_year,
    birthday,
    time_zone,
    signed_up_at,
    known_at,
    source_file,
    source_row,
    load_number
from {{ source("landing", "customers") }}
