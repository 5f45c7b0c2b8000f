with consents as (
    select
        customer_id,
        arg_max(is_given, struct_pack(decided_at, known_at)) as has_consent
    from {{ ref("stg_shop__consents") }}
    where purpose = 'marketing' and known_at < {{ as_of_date() }}
    group by customer_id
)

select
    customers.customer_id,
    {{ as_of_date() }} as as_of_date,
    customers.first_name,
    customers.birthday,
    customers.signed_up_at::date as signed_up_date,
    coalesce(customers.locale, '{{ var("shop_locale") }}') as locale,
    coalesce(customers.time_zone, '{{ var("shop_time_zone") }}') as time_zone,
    coalesce(consents.has_consent, false) as has_consent,
    customers.address is not null as has_address
from {{ with_known_until(ref("stg_shop__customers"), "customer_id") }} as customers
left join consents on customers.customer_id = consents.customer_id
where {{ known_at_day("customers", as_of_date()) }}
