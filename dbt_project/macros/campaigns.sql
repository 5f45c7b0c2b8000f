{#- Number in [0, 1) that is fixed for a key and a customer: MD5's first 32 bits. Source: RFC 1321. -#}
{% macro keyed_share(key, customer_id) -%}
    (('0x' || substr(md5({{ key }} || '|' || {{ customer_id }}), 1, 8))::bigint / 4294967296.0)
{%- endmacro %}

{#- What a mail may state of a product, from a row of the mart `products`. `reason` and what it states are SQL expressions;
    `bought_date` is the day the customer last bought the product that `reason_product_name` names. -#}
{% macro product_fact(product, reason, reason_product_name="null::varchar", bought_date="null::date",
                      times_bought="null::bigint", usual_gap_days="null::double", days_since="null::bigint") -%}
    struct_pack(
        product_id := {{ product }}.product_id,
        name := {{ product }}.name,
        category := {{ product }}.category,
        brand := {{ product }}.brand,
        size := {{ product }}.size,
        price_cents := {{ product }}.price_cents,
        currency := '{{ var("currency") }}',
        url := '{{ var("shop_url") }}/p/' || {{ product }}.product_id,
        reason := {{ reason }},
        reason_product_name := {{ reason_product_name }},
        bought_date := {{ bought_date }}::varchar,
        times_bought := {{ times_bought }},
        usual_gap_days := {{ usual_gap_days }},
        days_since := {{ days_since }}
    )
{%- endmacro %}
