{#- Number in [0, 1) that is fixed for a key and a customer: MD5's first 32 bits. Source: RFC 1321. -#}
{% macro keyed_share(key, customer_id) -%}
    (('0x' || substr(md5({{ key }} || '|' || {{ customer_id }}), 1, 8))::bigint / 4294967296.0)
{%- endmacro %}

{#- What a mail may state of a product, from a row of the mart `products`. `reason` and what it states are SQL expressions;
    `bought_date` is the day the customer last bought the product that `reason_product_name` names; `more` has the facts that
    only some campaigns state. -#}
{% macro product_fact(product, reason, reason_product_name="null::varchar", bought_date="null::date",
                      times_bought="null::bigint", usual_gap_days="null::double", days_since="null::bigint", more={}) -%}
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
        {%- for name, value in more.items() %},
        {{ name }} := {{ value }}
        {%- endfor %}
    )
{%- endmacro %}

{#- Per customer the facts of what a relation of (customer_id, product_id, …) called `picked` holds, at most so many: of what may
    be recommended and is not known to be sold out. Products that share a name look like the same thing twice in a mail:
    the first in the order stands for both. -#}
{% macro product_lists(picked, fact, order, most) -%}
    (
        select
            picked.customer_id,
            list({{ fact }} order by {{ order }}, picked.product_id)[1:{{ most }}] as facts
        from (
            select
                picked.*,
                row_number() over (
                    partition by picked.customer_id, products.name order by {{ order }}, picked.product_id
                ) as namesake
            from {{ picked }} as picked
            inner join {{ ref("products") }} as products on picked.product_id = products.product_id
            where products.is_recommendable and coalesce(products.stock_count, 1) > 0
        ) as picked
        inner join {{ ref("products") }} as products on picked.product_id = products.product_id
        where picked.namesake = 1
        group by picked.customer_id
    )
{%- endmacro %}

{#- The day's recommendations of what a customer never bought, as facts, at most so many per customer. What a mail may not
    name is no reason to state, nor is a product of the same name; and a product is not popular for want of a reason. -#}
{% macro recommended(most) -%}
    {%- set picked -%}
    (
        select
            recommendations.*,
            because.name as because_name
        from {{ ref("stg_published__recommendations") }} as recommendations
        left join {{ ref("products") }} as because
            on recommendations.because_product_id = because.product_id and because.is_recommendable
        where recommendations.question = 'new'
    )
    {%- endset -%}
    {%- set fact -%}
    case
        when picked.because_product_id is not null and coalesce(picked.because_name = products.name, true)
            then {{ product_fact("products", "'history'") }}
        else
            {{ product_fact("products", "picked.reason", reason_product_name="picked.because_name",
                            bought_date="picked.last_bought_date",
                            days_since="(" ~ as_of_date() ~ " - picked.last_bought_date)::bigint") }}
    end
    {%- endset -%}
    {{ product_lists(picked, fact, "picked.rank", most) }}
{%- endmacro %}

{#- Why somebody is proposed: the rule, a name and value per feature, and scores, each with the table that it comes from. -#}
{% macro evidence(rule, features={}, scores={}) -%}
    to_json(struct_pack(
        audience_rule := '{{ rule | replace("'", "''") }}',
        features := struct_pack(
            {%- for name, value in features.items() %}
            {{ name }} := {{ value }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        ),
        scores := [
            {%- for name, (value, table) in scores.items() %}
            struct_pack(
                name := '{{ name }}', value := {{ value }}, model_name := {{ table }}.model_name,
                model_version := {{ table }}.model_version, run_id := {{ table }}.run_id
            ){% if not loop.last %},{% endif %}
            {%- endfor %}
        ]{% if not scores %}::struct(name varchar, value double, model_name varchar, model_version varchar, run_id varchar)[]{% endif %}

    ))::varchar
{%- endmacro %}

{#- Ends an audience whose one mail shows the products of a relation called `lists` and says nothing else. -#}
{% macro shows_lists(rule, features) -%}
select
    lists.customer_id,
    1 as step,
    null::double as value_cents,
    len(lists.facts) as product_count,
    to_json(struct_pack(
        first_name := customers.first_name,
        products := lists.facts
    ))::varchar as facts,
    {{ evidence(rule, features) }} as evidence
from lists
inner join {{ ref("customers") }} as customers on lists.customer_id = customers.customer_id
left join {{ ref("customer_features") }} as features
    on lists.customer_id = features.customer_id and features.as_of_date = {{ as_of_date() }}
{%- endmacro %}

{#- The steps of a campaign, as campaign.yml has them. -#}
{% macro steps_of(campaign_id) -%}
    (select * from {{ ref("stg_published__campaign_definitions") }} where campaign_id = '{{ campaign_id }}')
{%- endmacro %}

{#- An offer as facts; null where the step has none. -#}
{% macro offer_fact(step, discount_percent="", min_spend_cents="") -%}
    case
        when {{ step }}.offer_discount_percent is not null then struct_pack(
            discount_percent := {{ discount_percent or step ~ ".offer_discount_percent" }},
            min_spend_cents := {{ min_spend_cents or step ~ ".offer_min_spend_cents" }},
            currency := '{{ var("currency") }}',
            valid_until := ({{ as_of_date() }} + {{ step }}.offer_valid_days)::varchar
        )
    end
{%- endmacro %}

{#- How many messages there were to each customer in the six days before, or to each value of `keys`. -#}
{% macro mails_of_week(keys="customer_id") -%}
    select
        {{ keys }},
        count(*) as mail_count
    from {{ ref("stg_published__ledger_sends") }}
    where as_of_date >= {{ as_of_date() }} - 6
    group by {{ keys }}
{%- endmacro %}
