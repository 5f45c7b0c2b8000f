-- What a rule of trade can ask of a customer, and nothing else.
select
    customers.customer_id,
    {{ as_of_date() }} as as_of_date,
    customers.birth_year,
    customers.country_code
from {{ with_known_until(ref("stg_shop__customers"), "customer_id") }} as customers
where {{ known_at_day("customers", as_of_date()) }}
