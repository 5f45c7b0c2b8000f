-- What a customer was known to be, from when until when. Versions that say the same are one; name and address stay out.
with differing as (
    select
        customer_id,
        locale,
        country_code,
        time_zone,
        known_at
    from {{ ref("stg_shop__customers") }}
    where known_at < {{ as_of_date() }}
    qualify
        lag(customer_id) over (partition by customer_id order by known_at, source_file, source_row) is null
        or (locale, country_code, time_zone) is distinct from lag((locale, country_code, time_zone)) over (
            partition by customer_id order by known_at, source_file, source_row
        )
)

select
    customer_id,
    locale,
    country_code,
    time_zone,
    known_at as valid_from,
    lead(known_at) over (partition by customer_id order by known_at) as valid_until,
    {{ as_of_date() }} as as_of_date
from differing
